//go:build !linux

package jail

import "os/exec"

var isolations = [...]uintptr{0}

func confine(*exec.Cmd, int) {}

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

func isDenied(error) bool { return false }
