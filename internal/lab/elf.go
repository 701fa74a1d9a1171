package lab

import "encoding/binary"

// ELF makes the smallest file that tools take for a shared object of the given colour: 1
// is ELF32 for i386, 2 is ELF64 for x86-64. It has a header and no code.
func ELF(color int) []byte {
	le := binary.LittleEndian
	ident := []byte{0x7f, 'E', 'L', 'F', byte(color), 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	const shared = 3
	out := le.AppendUint16(ident, shared)
	if color == 1 {
		out = le.AppendUint16(out, 3)            // EM_386
		out = le.AppendUint32(out, 1)            // version
		out = append(out, make([]byte, 3*4)...)  // entry, program and section headers
		out = le.AppendUint32(out, 0)            // flags
		out = le.AppendUint16(out, 52)           // size of this header
		return append(out, make([]byte, 5*2)...) // no tables
	}
	out = le.AppendUint16(out, 62)           // EM_X86_64
	out = le.AppendUint32(out, 1)            // version
	out = append(out, make([]byte, 3*8)...)  // entry, program and section headers
	out = le.AppendUint32(out, 0)            // flags
	out = le.AppendUint16(out, 64)           // size of this header
	return append(out, make([]byte, 5*2)...) // no tables
}
