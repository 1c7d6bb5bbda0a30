package conformance

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

const near = 1e-9

// fit says how value differs from the pattern, both as encoding/json decodes
// them; nil when it fits. where is the value's place in the answer.
func fit(pattern, value any, where string) error {
	wrong := func(wanted string, args ...any) error {
		return fmt.Errorf("%s is %.500s, wanted %.500s", where, fmt.Sprintf("%#v", value), fmt.Sprintf(wanted, args...))
	}
	switch pattern := pattern.(type) {
	case map[string]any:
		for word, operand := range pattern {
			if strings.HasPrefix(word, "$") {
				if len(pattern) != 1 {
					return fmt.Errorf("a pattern has %s and other keys", word)
				}
				fits, err := special(word, operand, value)
				if err == nil && !fits {
					err = wrong("%s %#v", word, operand)
				}
				return err
			}
		}
		object, ok := value.(map[string]any)
		if !ok {
			return wrong("an object with %q", slices.Sorted(maps.Keys(pattern)))
		}
		for _, key := range slices.Sorted(maps.Keys(pattern)) {
			part, ok := object[key]
			if !ok {
				return fmt.Errorf("%s has no %q", where, key)
			}
			if err := fit(pattern[key], part, where+"."+key); err != nil {
				return err
			}
		}
		return nil
	case []any:
		items, ok := value.([]any)
		if !ok || len(items) != len(pattern) {
			return wrong("%d items", len(pattern))
		}
		for i, part := range pattern {
			if err := fit(part, items[i], fmt.Sprintf("%s[%d]", where, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if pattern != value {
		return wrong("%#v", pattern)
	}
	return nil
}

// special applies a pattern with a $.
func special(word string, operand, value any) (bool, error) {
	text, isText := value.(string)
	number, isNumber := value.(float64)
	words, isWord := operand.(string)
	limit, isLimit := operand.(float64)
	switch {
	case word == "$equal":
		return reflect.DeepEqual(operand, value), nil
	case word == "$contains" && isWord:
		items, ok := value.([]any)
		if !ok {
			items = []any{value}
		}
		return slices.ContainsFunc(items, func(item any) bool {
			text, ok := item.(string)
			return ok && strings.Contains(text, words)
		}), nil
	case word == "$match" && isWord:
		expression, err := regexp.Compile(words)
		if err != nil {
			return false, fmt.Errorf("a pattern's expression: %w", err)
		}
		return isText && expression.MatchString(text), nil
	case word == "$near" && isLimit:
		return isNumber && math.Abs(number-limit) < near, nil
	case word == "$above" && isLimit:
		return isNumber && number > limit, nil
	}
	return false, fmt.Errorf("this runner does not know %s %#v", word, operand)
}
