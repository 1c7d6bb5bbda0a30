package daemon

import (
	"errors"

	v1 "tcid/api/v1"
	"tcid/daemon/session"
	"tcid/rootfs"
	"tcid/sandbox"
)

// images shows the image store to the domain and to the API.
type images struct{ store *rootfs.Store }

// Acquire implements session.Images.
func (i images) Acquire(nameOrDigest string) (sandbox.Image, func(), error) {
	if nameOrDigest == "" {
		nameOrDigest = rootfs.DefaultName
	}
	img, release, err := i.store.Acquire(nameOrDigest)
	if errors.Is(err, rootfs.ErrNotFound) {
		return sandbox.Image{}, nil, &session.Error{Code: session.CodeImageNotFound, Param: "image", Message: err.Error()}
	}
	if err != nil {
		return sandbox.Image{}, nil, err
	}
	return sandbox.Image{Name: img.Name, Digest: img.Digest, Root: img.Root, Python: img.Python, Preload: img.Preload}, release, nil
}

// Images implements api.Images.
func (i images) Images() ([]v1.Image, error) {
	all, err := i.store.List()
	if err != nil && len(all) == 0 { // damaged images are left out
		return nil, err
	}
	list := make([]v1.Image, 0, len(all))
	for _, img := range all {
		list = append(list, v1.Image{
			Name: img.Name, Digest: img.Digest, Python: img.PythonVersion,
			Packages: append([]string{}, img.Packages...), Preload: append([]string{}, img.Preload...),
			Default: img.Name == rootfs.DefaultName,
		})
	}
	return list, nil
}
