package main

import (
	"fmt"
	"runtime"

	"github.com/urfave/cli/v2"
)

func versionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print the version",
		Flags: outputFlags(),
		Action: func(c *cli.Context) error {
			value := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
			}{version, runtime.Version()}
			return e.emit(c, data{
				columns: []string{"version", "go"},
				rows:    [][]string{{value.Version, value.Go}},
				text:    fmt.Sprintf("cpacman %s (%s)\n", value.Version, value.Go),
				value:   value,
			})
		},
	}
}

// The scripts call the program itself with the hidden flag of urfave/cli that lists what may follow.
const bashCompletion = `# bash completion for cpacman: source <(cpacman completion bash)
_cpacman() {
	local cur=${COMP_WORDS[COMP_CWORD]}
	local words=("${COMP_WORDS[@]:0:COMP_CWORD}")
	case $cur in -*) words+=("$cur") ;; esac
	COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$cur"))
}
complete -o default -F _cpacman cpacman
`

const zshCompletion = `#compdef cpacman
# zsh completion for cpacman: source <(cpacman completion zsh)
_cpacman() {
	local -a found
	local cur=${words[CURRENT]}
	if [[ $cur == -* ]]; then
		found=(${(f)"$(${words[1,CURRENT-1]} $cur --generate-bash-completion 2>/dev/null)"})
	else
		found=(${(f)"$(${words[1,CURRENT-1]} --generate-bash-completion 2>/dev/null)"})
	fi
	_describe cpacman found || _files
}
compdef _cpacman cpacman
`

func completionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script of a shell",
		ArgsUsage: "bash|zsh|fish",
		Action: func(c *cli.Context) error {
			if c.Args().Len() != 1 {
				return usagef("completion wants one shell: bash, zsh or fish")
			}
			var script string
			switch shell := c.Args().First(); shell {
			case "bash":
				script = bashCompletion
			case "zsh":
				script = zshCompletion
			case "fish":
				fish, err := c.App.ToFishCompletion()
				if err != nil {
					return fmt.Errorf("make the fish completion: %w", err)
				}
				script = fish
			default:
				return usagef("no completion for %q (bash, zsh or fish)", shell)
			}
			_, err := fmt.Fprint(e.stdout, script)
			return err
		},
	}
}

// manCommand prints the manual page, for packagers: make build leaves it in bin/cpacman.1.
func manCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "man",
		Usage: "print the manual page in roff",
		Action: func(c *cli.Context) error {
			page, err := c.App.ToMan()
			if err != nil {
				return fmt.Errorf("make the manual page: %w", err)
			}
			_, err = fmt.Fprint(e.stdout, page)
			return err
		},
	}
}
