package main

import "github.com/urfave/cli/v2"

// commands lists the verbs in the order in which help shows them.
func commands(e *env) []*cli.Command {
	return []*cli.Command{
		initCommand(e),
		inventoryCommand(e),
		factsCommand(e),
		keysCommand(e),
		repoCommand(e),
		planCommand(e),
		explainCommand(e),
		rolloutCommand(e),
		auditCommand(e),
		healthCommand(e),
		cleanCommand(e),
		stateCommand(e),
		evrCommand(e),
		versionCommand(e),
		completionCommand(e),
		manCommand(e),
	}
}
