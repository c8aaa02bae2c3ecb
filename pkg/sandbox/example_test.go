package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"mime/multipart"
	"net/http"

	"discordcloud/pkg/sandbox"
)

// A message with an attachment, posted and fetched with nothing but net/http.
// The second fetch meets a fault.
func Example() {
	s, err := sandbox.Open(sandbox.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	url, err := s.Start("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}

	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("files[0]", "hello.txt")
	if err != nil {
		log.Fatal(err)
	}
	_, _ = io.WriteString(file, "hello, sandbox") // a bytes.Buffer takes everything
	_ = form.Close()                              // likewise

	req, err := http.NewRequest("POST", url+"/api/v10/channels/"+s.Channels()[0]+"/messages", &body)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", "Bot "+s.Token())
	req.Header.Set("Content-Type", form.FormDataContentType())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var message struct {
		Attachments []struct {
			Filename, URL string
			Size          int
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&message); err != nil {
		log.Fatal(err)
	}
	a := message.Attachments[0]
	fmt.Println(res.Status, a.Filename, a.Size)

	s.Faults().Add(sandbox.Rule{Name: "cut", Route: "/attachments/*", From: 2, To: 2, Action: sandbox.Truncate, At: 5})
	for range 2 {
		res, err := http.Get(a.URL)
		if err != nil {
			log.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		fmt.Printf("%s, %v\n", text, err)
	}
	fmt.Println(s.Faults().Counts())
	// Output:
	// 200 OK hello.txt 14
	// hello, sandbox, <nil>
	// hello, unexpected EOF
	// map[cut:1]
}
