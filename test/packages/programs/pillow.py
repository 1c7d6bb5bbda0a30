"""Images: draw, resize, filter, paste with alpha, save PNG, JPEG and GIF, read back."""

import io

from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

image = Image.new("RGB", (200, 100), "white")
draw = ImageDraw.Draw(image)
draw.rectangle((20, 20, 79, 79), fill=(255, 0, 0))
draw.ellipse((120, 20, 180, 80), fill=(0, 0, 255))
assert image.getpixel((50, 50)) == (255, 0, 0)
assert image.getpixel((150, 50)) == (0, 0, 255)
assert image.getbbox() == (0, 0, 200, 100)
assert image.crop((20, 20, 80, 80)).getcolors() == [(3600, (255, 0, 0))]

font = ImageFont.load_default(size=20)
label = Image.new("L", (200, 40))
ImageDraw.Draw(label).text((5, 5), "session", font=font, fill=255)
assert sum(label.histogram()[128:]) > 200

half = image.resize((100, 50), Image.Resampling.LANCZOS)
assert half.size == (100, 50)
assert half.getpixel((25, 25)) == (255, 0, 0)
assert image.rotate(90, expand=True).size == (100, 200)
assert ImageOps.mirror(image).getpixel((150, 50)) == (255, 0, 0)

soft = image.filter(ImageFilter.GaussianBlur(4))
red, green, blue = soft.getpixel((20, 50))
assert red == 255
assert 60 < green == blue < 200
edges = image.convert("L").filter(ImageFilter.FIND_EDGES)
assert edges.getpixel((50, 50)) == 0
assert edges.getextrema()[1] > 100

overlay = Image.new("RGBA", image.size, (0, 255, 0, 128))
mixed = Image.alpha_composite(image.convert("RGBA"), overlay)
assert mixed.getpixel((50, 50)) == (127, 128, 0, 255)

image.save("image.png", optimize=True)
image.save("image.jpg", quality=90)
with Image.open("image.png") as png:
    assert (png.format, png.mode, png.size) == ("PNG", "RGB", (200, 100))
    assert png.tobytes() == image.tobytes()
with Image.open("image.jpg") as jpeg:
    assert (jpeg.format, jpeg.size) == ("JPEG", (200, 100))
    assert all(abs(a - b) < 12 for a, b in zip(jpeg.getpixel((50, 50)), (255, 0, 0)))

buffer = io.BytesIO()
image.save(buffer, "GIF", save_all=True, append_images=[ImageOps.invert(image)], duration=100)
with Image.open(buffer) as gif:
    assert gif.n_frames == 2
with Image.open("image.png") as png:
    png.thumbnail((50, 50))
    assert png.size == (50, 25)

print("ok: pillow")
