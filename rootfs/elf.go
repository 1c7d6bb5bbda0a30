package rootfs

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// object is what the headers of an ELF file say about its libraries.
type object struct {
	needed  []string
	runpath []string // DT_RUNPATH, for this file's own libraries only
	rpath   []string // DT_RPATH, for those of its libraries as well
	interp  string
}

// readELF returns nil without an error for files that are no ELF of the
// machine.
func readELF(path string, machine elf.Machine) (*object, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a program: %w", err)
	}
	defer f.Close()
	var magic [len(elf.ELFMAG)]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil || string(magic[:]) != elf.ELFMAG {
		return nil, nil //nolint:nilerr,nilnil // too short, or something else
	}
	e, err := elf.NewFile(f)
	if err != nil || e.Machine != machine || e.Class != elf.ELFCLASS64 {
		return nil, nil //nolint:nilerr,nilnil // not for this machine, or broken: nothing loads it
	}
	o := &object{}
	if o.needed, err = e.ImportedLibraries(); err != nil {
		return nil, nil //nolint:nilerr,nilnil // an object file
	}
	o.runpath = searchPath(e, elf.DT_RUNPATH)
	if len(o.runpath) == 0 { // the loader ignores RPATH beside RUNPATH
		o.rpath = searchPath(e, elf.DT_RPATH)
	}
	for _, p := range e.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		if text, err := io.ReadAll(p.Open()); err == nil {
			o.interp = string(bytes.TrimRight(text, "\x00"))
		}
	}
	return o, nil
}

func searchPath(e *elf.File, tag elf.DynTag) (dirs []string) {
	values, err := e.DynString(tag)
	if err != nil {
		return nil // no dynamic section
	}
	for _, v := range values {
		dirs = append(dirs, filepath.SplitList(v)...)
	}
	return dirs
}
