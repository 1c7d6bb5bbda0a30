package kernel

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestResult covers the rule for an execution's result and its JSON. The cells
// of a case run in one kernel; the last one is compared.
func TestResult(t *testing.T) {
	cases := []struct {
		name  string
		cells []string
		want  string // source, repr, JSON
	}{
		{"expression", []string{"1 + 1"}, "expression 2 2"},
		{"suppressed is still the result", []string{"(1 + 1); # no ; here"}, "expression 2 2"},
		{"none", []string{"x = 1"}, "none - "},
		{"None is no result", []string{"None"}, "none - "},
		{"empty", []string{""}, "none - "},
		{"comment", []string{"# nothing"}, "none - "},
		{"variable", []string{"result = 3"}, "variable 3 3"},
		{"expression before variable", []string{"result = 3\n4"}, "expression 4 4"},
		{"None, then the variable", []string{"result = 3\nprint()"}, "variable 3 3"},
		{"bound to None", []string{"result = None"}, "variable None null"},
		{"bound to an equal small integer", []string{"result = 3", "result = 3"}, "variable 3 3"},
		{"bound to itself", []string{"result = [1]", "result = result"}, "variable [1] [1]"},
		{"not bound again", []string{"result = 3", "x = result"}, "none - "},
		{"read in a function", []string{"result = 3\ndef f(): return result", "x = f()\nif x != 3: raise SystemError(x)"}, "none - "},
		{"bound by a branch that is not taken", []string{"result = 3", "if False: result = 4\nassert result == 3"}, "none - "},
		{"kept after that", []string{"result = 3", "if False: result = 4", "result"}, "expression 3 3"},
		{"read before it is bound again", []string{"result = 3", "y = result\nresult = y"}, "variable 3 3"},
		{"augmented", []string{"result = 3", "result += 1"}, "variable 4 4"},
		{"augmented in place", []string{"result = [3]", "result += [4]"}, "variable [3, 4] [3,4]"},
		{"through a function's global", []string{"result = 3", "def f():\n global result\n result = 3\nf()"}, "variable 3 3"},
		{"a function's local is another name", []string{"result = 3", "def f():\n result = 4\nf()"}, "none - "},
		{"import as", []string{"result = 3", "import math as result"}, "variable <module 'math'"},
		{"def", []string{"result = 3", "def result(): pass"}, "variable <function result"},
		{"loop", []string{"result = 2", "for result in range(3): pass"}, "variable 2 2"},
		{"deleted", []string{"result = 3", "del result"}, "none - "},
		{"bound in place of a deleted one", []string{"result = 3", "del result\nresult = 4"}, "variable 4 4"},
		{"exec", []string{"result = 3", "exec('result = 5')"}, "variable 5 5"},
		{"kept after an exception", []string{"result = 3", "1/0\nresult = 4", "result"}, "expression 3 3"},
		{"no leak into builtins", []string{"result = 3", "result = 4", "import builtins; hasattr(builtins, 'result')"}, "expression False false"},
		{"a mutated value is not bound", []string{"result = [3]", "result.append(4)"}, "none - "},
		{"await", []string{"import asyncio\nawait asyncio.sleep(0, 'done')"}, "expression 'done' \"done\""},

		{"float", []string{"0.5"}, "expression 0.5 0.5"},
		{"text", []string{"'é\\n'"}, `expression 'é\n' "é\n"`},
		{"nested", []string{"{'a': [1, 2.5, None, True, {'b': 'c'}]}"}, `expression {'a': [1, 2.5, None, True, {'b': 'c'}]} {"a":[1,2.5,null,true,{"b":"c"}]}`},
		{"nan", []string{"float('nan')"}, "expression nan "},
		{"infinity inside", []string{"[float('inf')]"}, "expression [inf] "},
		{"2**53", []string{"2**53"}, "expression 9007199254740992 9007199254740992"},
		{"beyond 2**53", []string{"-2**53 - 1"}, "expression -9007199254740993 "},
		{"tuple", []string{"(1, 2)"}, "expression (1, 2) "},
		{"integer keys", []string{"{1: 2}"}, "expression {1: 2} "},
		{"bytes", []string{"b'x'"}, "expression b'x' "},
		{"a lone surrogate", []string{"'\\ud800'"}, `expression '\ud800' `},
		{"a cycle", []string{"a = []; a.append(a); a"}, "expression [[...]] "},
		{"32 deep", []string{"a = 1\nfor _ in range(32): a = [a]\na"}, "expression " + strings.Repeat("[", 32) + "1" + strings.Repeat("]", 32) + " " + strings.Repeat("[", 32) + "1" + strings.Repeat("]", 32)},
		{"33 deep", []string{"a = 1\nfor _ in range(33): a = [a]\na"}, "expression " + strings.Repeat("[", 33) + "1" + strings.Repeat("]", 33) + " "},
		{"a subclass", []string{"class I(int): pass\nI(3)"}, "expression 3 "},
		{"a subclass inside", []string{"class S(str): pass\n[S('x')]"}, "expression ['x'] "},
		{"user code of a value does not run", []string{"class T:\n def __eq__(self, o): raise SystemExit\n __bool__ = __len__ = __hash__ = __eq__\n def __repr__(self): return 'T'\nT()"}, "expression T "},
		{"a broken repr", []string{"class B:\n def __repr__(self): 1/0\nB()"}, "expression <B object: its __repr__ raised ZeroDivisionError> "},
	}
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		const forget = "globals().pop('result', None);"
		for _, c := range cases {
			s.run(ExecuteRequest{Code: forget})
			var o Outcome
			for _, cell := range c.cells {
				_, o = s.run(ExecuteRequest{Code: cell})
			}
			got := fmt.Sprintf("%s %s %s", o.Source, repr(o), o.Result)
			if got != c.want && (!strings.Contains(c.want, "variable <") || !strings.HasPrefix(got, c.want)) {
				t.Errorf("%s: got %q, want %q", c.name, got, c.want)
			}
		}
	})
}

func TestLargeResults(t *testing.T) {
	s := start(t, onePython(t))
	for _, c := range []struct {
		code string
		json bool
		repr int
	}{
		{"'x' * (1 << 20)", false, 64 << 10},
		{"'x' * ((1 << 20) - 2)", true, 64 << 10},
		{"'\\n' * (1 << 19)", false, 64 << 10}, // two bytes each, and the quotes
		{"[0] * 500_000", false, 64 << 10},
	} {
		_, o := s.run(ExecuteRequest{Code: c.code})
		if got := o.Result != nil; got != c.json || len(repr(o)) > c.repr || len(repr(o)) < c.repr*9/10 {
			t.Errorf("%s: JSON %v (%d bytes), repr of %d bytes", c.code, got, len(o.Result), len(repr(o)))
		}
	}
	// 10**27 elements, all shared: only the count of bytes ends this.
	code := "a = [0] * 1000\nfor _ in range(8): a = [a] * 1000\n" +
		"import builtins\nbuiltins.repr, keep = (lambda v: 'short'), repr\nresult = a"
	if _, o := s.run(ExecuteRequest{Code: code}); o.Source != SourceVariable || o.Result != nil {
		t.Errorf("an enormous result: %s, %d bytes", o.Source, len(o.Result))
	}
}

func TestConditions(t *testing.T) {
	cases := []struct{ expr, want string }{
		{"result == 2 and x == 1", "passed "},
		{"stdout == 'o' and stderr == 'e'", "passed "},
		{"result == 3", "wrong_answer "},
		{"None", "wrong_answer "},
		{"1 / 0", "runtime_error ZeroDivisionError: division by zero"},
		{"missing", "runtime_error NameError: name 'missing' is not defined"},
		{"exit(3)", "runtime_error SystemExit: 3"},
		{"x = 2", "compile_error SyntaxError: "},
		{"", "compile_error SyntaxError: "},
		{"print('dropped') is None", "passed "},
		{"[i for i in [x] if i == x] == [1]", "passed "},
		{"Odd()", "runtime_error ValueError: odd"},
		{"__import__('signal').raise_signal(2)", "interrupted "},
	}
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		s.run(ExecuteRequest{Code: "x = 1\nclass Odd:\n def __bool__(self): raise ValueError('odd')\nresult = 2"})
		for _, c := range cases {
			v, err := s.Condition(context.Background(), c.expr, "o", "e")
			if err != nil {
				t.Fatal(err)
			}
			if got := v.Status + " " + v.Message; !strings.HasPrefix(got, c.want) {
				t.Errorf("%s: got %q, want %q", c.expr, got, c.want)
			}
		}
		s.run(ExecuteRequest{Code: "y = 1"})
		v, err := s.Condition(context.Background(), "result is None", "", "")
		if err != nil || v.Status != VerdictPassed {
			t.Errorf("result of an execution that bound none: %v, %v", v, err)
		}
	})
}
