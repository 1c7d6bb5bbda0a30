"""The kernel: the process that holds a session's variables and runs its code.

It is loaded under the private name _tcid_kernel, from a folder that is not on
sys.path, so that none of its modules can shadow one of the user's. The
protocol that it speaks is described in the package comment of sandbox/kernel.
"""
