# Executed by the image's interpreter, in the image. The arguments are modules
# that the host's interpreter can import; a fault is one line of the output.
import os
import sys

if (sys.prefix, sys.exec_prefix) != ("/usr", "/usr"):
    print("its prefix is %s, %s instead of /usr" % (sys.prefix, sys.exec_prefix))
for path in sys.path:
    if not path.startswith("/usr/"):
        print("it looks for modules in %s" % path)
for name in sys.argv[1:]:
    try:
        __import__(name)
    except Exception as e:
        print("module %s works on the host, but not in the image: %s" % (name, e))
sys.stdout.flush()
os._exit(0)  # imports may have left threads
