// Command child is what the tests of package jail start: the decoder, and others
// that behave badly. It is built without the race detector, whose memory would
// count.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"time"

	"discordcloud/services/thumbnail/decode"
)

func main() {
	switch os.Args[1] {
	case "decode":
		os.Exit(decode.Main(os.Args, os.Stdin, os.Stdout))
	case "escape":
		os.Exit(escape())
	case "hang":
		time.Sleep(time.Hour)
	case "spin":
		for i := 0; ; i++ {
			os.Args[0] = os.Args[i%2]
		}
	case "crash":
		panic("as libraries do")
	case "nothing":
	case "babble":
		fmt.Println("<html><body>no thumbnail</body></html>")
	case "flood":
		b := append([]byte{decode.FrameResult, 0xff, 0xff, 0xff, 0xff}, make([]byte, 1<<20)...)
		for {
			if _, err := os.Stdout.Write(b); err != nil {
				return
			}
		}
	case "outside": // asks for what is not in the object
		_, _, _ = decode.ReadFrame(bufio.NewReader(os.Stdin), 1<<20)
		_ = decode.WriteFrame(os.Stdout, decode.FrameRead, []byte{0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0})
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}
