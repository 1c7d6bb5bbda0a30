package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// maxTypos is how many letters a command may be off to be suggested.
const maxTypos = 2

// flagError is cobra's, in words that don't speak of Go, and with where to look.
func flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var number *strconv.NumError
	if errors.As(err, &value) && errors.As(err, &number) {
		want := "a number"
		switch value.GetFlag().Value.Type() {
		case "bool":
			want = "true or false"
		case "int", "int64":
			want = "a whole number"
		}
		err = fmt.Errorf("invalid argument %q for --%s: want %s", value.GetValue(), value.GetFlag().Name, want)
	}
	return seeHelp(cmd, err.Error())
}

// noArguments is for commands without any, and for those that only have
// commands below them.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case !cmd.HasSubCommands():
		return seeHelp(cmd, fmt.Sprintf("unknown argument %q: %q takes none but flags", args[0], cmd.CommandPath()))
	}
	cmd.SuggestionsMinimumDistance = maxTypos
	message := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		message += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return seeHelp(cmd, message)
}

func seeHelp(cmd *cobra.Command, message string) error {
	return usageError{fmt.Errorf("%s\nsee \"%s --help\"", message, cmd.CommandPath())}
}

// exactly checks the number of arguments and says what they are.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{errors.New("wrong number of arguments: want " + what)}
		}
		return nil
	}
}
