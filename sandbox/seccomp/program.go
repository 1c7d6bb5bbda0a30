package seccomp

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Instruction is one of classic BPF, as struct sock_filter.
type Instruction struct {
	Code   uint16
	Jt, Jf uint8
	K      uint32
}

// Offsets in struct seccomp_data.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16 // eight bytes each, the low half first
)

const (
	opLoad      = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	opAnd       = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	opEqual     = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	opAtLeast   = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	opJump      = unix.BPF_JMP | unix.BPF_JA
	opReturn    = unix.BPF_RET | unix.BPF_K
	maxJump     = 255
	maxLength   = 4096 // BPF_MAXINSNS
	instruction = 8    // bytes
)

func load(offset uint32) Instruction  { return Instruction{Code: opLoad, K: offset} }
func answer(value uint32) Instruction { return Instruction{Code: opReturn, K: value} }
func equal(k uint32, jt, jf int) Instruction {
	return Instruction{Code: opEqual, Jt: uint8(jt), Jf: uint8(jf), K: k}
}

// Filter is the policy in the two parts that a process loads, one after the
// other: of several filters the strictest answer counts.
type Filter struct {
	// Zygote is nearly all of the policy. It leaves open what a zygote's child
	// needs to join a session.
	Zygote []Instruction
	// Rest closes that. It is short, since every kernel that is forked loads it.
	Rest []Instruction
}

// Assemble makes the filter of the policy.
func Assemble() (Filter, error) {
	rules, err := Policy()
	if err != nil {
		return Filter{}, err
	}
	first, rest, err := split(rules)
	if err != nil {
		return Filter{}, err
	}
	var f Filter
	if f.Zygote, err = program(spans(first, Refuse, Missing)); err != nil {
		return Filter{}, err
	}
	if f.Rest, err = program(spans(rest, Allow, Allow)); err != nil {
		return Filter{}, err
	}
	return f, nil
}

// program decides by the architecture and the spans.
func program(all []span) ([]Instruction, error) {
	code, err := tree(all)
	if err != nil {
		return nil, err
	}
	head := []Instruction{
		load(offsetArch), equal(arch, 1, 0), answer(Kill),
		load(offsetNumber),
		{Code: opAtLeast, K: foreign, Jt: 0, Jf: 1}, answer(Kill),
	}
	if code = append(head, code...); len(code) > maxLength {
		return nil, fmt.Errorf("the system call filter has %d instructions, more than the %d that the kernel takes", len(code), maxLength)
	}
	return code, nil
}

// Encode is a program as the kernel reads it.
func Encode(code []Instruction) []byte {
	var b []byte
	for _, i := range code {
		b = binary.NativeEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return b
}

// span is a range of numbers, from first up to the next span's, with one rule.
type span struct {
	first uint32
	rule  Rule
}

// spans covers all numbers: those without a rule get the answer otherwise, those
// above Newest the answer newer. Neighbours with the same answer are one.
func spans(rules []Rule, otherwise, newer uint32) []span {
	rules = slices.Clone(rules)
	slices.SortFunc(rules, func(a, b Rule) int { return cmp.Compare(a.Number, b.Number) })
	var all []span
	next := uint32(0)
	add := func(first uint32, r Rule) {
		if n := len(all); n > 0 && len(r.Unless) == 0 && len(all[n-1].rule.Unless) == 0 && all[n-1].rule.Answer == r.Answer {
			return
		}
		all = append(all, span{first, r})
	}
	for _, r := range rules {
		if r.Number > next {
			add(next, Rule{Answer: otherwise})
		}
		add(r.Number, r)
		next = r.Number + 1
	}
	add(next, Rule{Answer: otherwise})
	add(Newest+1, Rule{Answer: newer})
	return all
}

// tree finds the span of the number in the accumulator by halves.
func tree(all []span) ([]Instruction, error) {
	if len(all) == 1 {
		return leaf(all[0].rule)
	}
	middle := len(all) / 2
	low, err := tree(all[:middle])
	if err != nil {
		return nil, err
	}
	high, err := tree(all[middle:])
	if err != nil {
		return nil, err
	}
	first := all[middle].first
	code := []Instruction{{Code: opAtLeast, K: first, Jt: uint8(min(len(low), maxJump)), Jf: 0}}
	if len(low) > maxJump { // too far for a condition
		code = []Instruction{{Code: opAtLeast, K: first, Jt: 0, Jf: 1}, {Code: opJump, K: uint32(len(low))}}
	}
	return append(append(code, low...), high...), nil
}

// leaf decides on one call.
func leaf(r Rule) ([]Instruction, error) {
	var code []Instruction
	for _, alternative := range r.Unless {
		part, err := check(alternative)
		if err != nil {
			return nil, fmt.Errorf("filter %s: %w", r.Name, err)
		}
		code = append(code, part...)
	}
	return append(code, answer(r.Answer)), nil
}

// check allows the call if all conditions hold, and else goes on behind itself.
func check(conditions []Condition) ([]Instruction, error) {
	code := []Instruction{answer(Allow)}
	for _, c := range slices.Backward(conditions) {
		if c.Arg < 0 || c.Arg > 5 || len(code) > maxJump {
			return nil, fmt.Errorf("condition %+v can't be expressed", c)
		}
		part := []Instruction{load(offsetArgs + 8*uint32(c.Arg))}
		if c.Mask != whole {
			part = append(part, Instruction{Code: opAnd, K: c.Mask})
		}
		code = append(append(part, equal(c.Value, 0, len(code))), code...)
	}
	return code, nil
}
