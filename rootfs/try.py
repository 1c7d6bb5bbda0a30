# Executed by the image's interpreter, in the image, without the site module's
# main function (-S): that would run the .pth files of packages. The arguments
# are the directory of installed packages, or nothing, and modules that the host's
# interpreter can import; a fault is one line of the output.
import os
import site
import sys

if (sys.prefix, sys.exec_prefix) != ("/usr", "/usr"):
    print("its prefix is %s, %s instead of /usr" % (sys.prefix, sys.exec_prefix))
places = site.getsitepackages()
for path in sys.path + places:
    if not path.startswith("/usr/"):
        print("it looks for modules in %s" % path)
if sys.argv[1] and sys.argv[1] not in places:
    print("it does not look for packages in %s, but in %s" % (sys.argv[1], ", ".join(places)))
for name in sys.argv[2:]:
    try:
        __import__(name)
    except Exception as e:
        print("module %s works on the host, but not in the image: %s" % (name, e))
sys.stdout.flush()
os._exit(0)  # imports may have left threads
