// Package container makes sandboxes with libcontainer. It is the only importer
// of libcontainer and of the cgroups library, whose API carries no promise;
// everything above sees package sandbox.
//
// A sandbox is one libcontainer container. Its user namespace is owned by a
// holder process (holder.go) with a block of host ids of its own (idrange.go);
// all other namespaces are new. Its root is an overlay of the image and of the
// daemon's support layer (overlay.go, support.go), its PID 1 the small program
// in init/, which only reaps. Kernels are further processes in the container
// (process.go).
package container

//go:generate make -C init
