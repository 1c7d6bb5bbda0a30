package hostile

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	v1 "tcid/api/v1"
)

//go:embed programs attack.py
var files embed.FS

var groups = []string{"escape", "exhaustion", "leak", "neighbour", "channel", "files", "forgery"}

// program is one attack.
type program struct {
	name, about, group, code string
	weaken                   []string
	expect                   []string
	timeout                  float64
	resources                v1.Resources
	victim                   bool
	files                    []fileCall
	claims                   []claim
	tests                    []string
	then, control            string
}

var setting = regexp.MustCompile(`^([a-z_]+): *(.+)$`)

// parse reads a program's docstring.
func parse(name, code string) (program, error) {
	p := program{name: name, code: code, expect: []string{v1.StatusOK}, timeout: 20, control: "fresh",
		resources: v1.Resources{MemoryMB: 256, Pids: 64, DiskMB: 64, CPUs: 1}}
	_, rest, ok := strings.Cut(code, `"""`)
	doc, _, ok2 := strings.Cut(rest, `"""`)
	if !ok || !ok2 {
		return p, fmt.Errorf("%s has no docstring", name)
	}
	about, settings, _ := strings.Cut(doc, "\n\n")
	p.about = strings.Join(strings.Fields(about), " ")
	for line := range strings.Lines(settings) {
		m := setting.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			if strings.TrimSpace(line) != "" {
				return p, fmt.Errorf("%s: %q is no setting", name, line)
			}
			continue
		}
		number, _ := strconv.ParseFloat(m[2], 64)
		switch m[1] {
		case "group":
			p.group = m[2]
		case "weaken":
			p.weaken = strings.Fields(m[2])
		case "expect":
			p.expect = strings.Fields(m[2])
		case "timeout":
			p.timeout = number
		case "memory_mb":
			p.resources.MemoryMB = int64(number)
		case "pids":
			p.resources.Pids = int64(number)
		case "disk_mb":
			p.resources.DiskMB = int64(number)
		case "cpus":
			p.resources.CPUs = number
		case "files":
			calls, err := parseFileCalls(m[2])
			if err != nil {
				return p, fmt.Errorf("%s: %w", name, err)
			}
			p.files = calls
		case "claims":
			claims, err := parseClaims(m[2])
			if err != nil {
				return p, fmt.Errorf("%s: %w", name, err)
			}
			p.claims = claims
		case "tests":
			p.tests = strings.Split(m[2], " | ")
		case "then":
			p.then = m[2]
		case "control":
			p.control = m[2]
		case "victim":
			p.victim = m[2] == "yes"
		default:
			return p, fmt.Errorf("%s: there is no setting %q", name, m[1])
		}
	}
	if p.about == "" || !slices.Contains(groups, p.group) || len(p.weaken) == 0 {
		return p, fmt.Errorf("%s: it must say what it tries, its group and what to weaken", name)
	}
	return p, nil
}

func programs(t *testing.T) (list []program) {
	t.Helper()
	entries, err := fs.ReadDir(files, "programs")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".py") {
			continue
		}
		code, err := fs.ReadFile(files, "programs/"+e.Name())
		if err != nil {
			t.Fatal(err)
		}
		p, err := parse(strings.TrimSuffix(e.Name(), ".py"), string(code))
		if err != nil {
			t.Error(err)
			continue
		}
		list = append(list, p)
	}
	return list
}
