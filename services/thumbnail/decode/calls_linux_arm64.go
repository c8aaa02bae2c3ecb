package decode

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// refusedHere are older forms of refused, of which this processor's kernels have
// none.
var refusedHere = [...]uint32{}
