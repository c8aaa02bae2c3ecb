package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/pkg/packet"
)

const (
	// partsAtOnce is how many parts of a file are under way, as of the page.
	partsAtOnce = 3
	// postTries is how often a part is posted.
	postTries = 6
)

// Upload stores data under a name in a folder, over what is there, and returns
// when the manager has acknowledged it. With an error nothing is known: it may
// be stored all the same.
func (c *Client) Upload(ctx context.Context, folder, name string, data Content) error {
	reply, err := c.call(ctx, packet.UploadRequest{Path: folder, Name: name, Size: data.Size, Conflict: packet.ConflictOverwrite})
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	r, ok := reply.(packet.UploadResponse)
	if !ok || !r.Accepted {
		return fmt.Errorf("request: rejected: %s", r.RejectionReason)
	}
	if data.Size > 0 {
		if err := c.send3(ctx, r, data); err != nil {
			return err
		}
	}
	select {
	case info := <-c.outcome(r.UploadID):
		c.mu.Lock()
		delete(c.outcomes, r.UploadID)
		c.mu.Unlock()
		if !info.Success {
			return fmt.Errorf("outcome: %s", info.Reason)
		}
		return nil
	case <-c.ended:
		return errors.New("outcome: the socket has ended")
	case <-ctx.Done():
		return fmt.Errorf("outcome: %w", context.Cause(ctx))
	}
}

// send3 posts the parts, as many at once as the page does.
func (c *Client) send3(ctx context.Context, r packet.UploadResponse, data Content) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(partsAtOnce)
	for part := range (data.Size + r.ChunkSize - 1) / r.ChunkSize {
		group.Go(func() error {
			for try := 1; ; try++ {
				err := c.post(ctx, r, data, part)
				if err == nil || try == postTries || !again(err) || ctx.Err() != nil {
					return err
				}
				select {
				case <-ctx.Done():
				case <-time.After(time.Duration(try) * 200 * time.Millisecond):
				}
			}
		})
	}
	return group.Wait()
}

// again tells whether a part is worth another post: whatever the service could
// not do, it may be able to do later.
func again(err error) bool {
	refused, ok := errors.AsType[*StatusError](err)
	return !ok || refused.Status >= 500 || refused.Status == http.StatusRequestTimeout
}

func (c *Client) post(ctx context.Context, r packet.UploadResponse, data Content, part int64) error {
	from := part * r.ChunkSize
	fields := [][2]string{{"id", r.UploadID}, {"chunk", strconv.FormatInt(part, 10)}}
	answer, err := Post(ctx, c.HTTP, r.UploadAddress, "", fields, "file", []io.Reader{data.Reader(from, min(r.ChunkSize, data.Size-from))}, min(r.ChunkSize, data.Size-from))
	if err != nil {
		return fmt.Errorf("part %d: %w", part, err)
	}
	if string(answer) != strconv.FormatInt(part, 10) {
		return fmt.Errorf("part %d: the answer is %q", part, answer)
	}
	return nil
}

// Post posts a form of fields and one file of each reader, all of the same size,
// streamed, and gives the answer's body. field names the file; if it has a %d,
// that becomes the file's number.
func Post(ctx context.Context, client *http.Client, address, authorization string, fields [][2]string, field string, files []io.Reader, size int64) ([]byte, error) {
	var frame bytes.Buffer
	form := multipart.NewWriter(&frame)
	for _, f := range fields {
		if err := form.WriteField(f[0], f[1]); err != nil {
			return nil, err
		}
	}
	var body []io.Reader
	length := int64(0)
	cut := func() {
		length += int64(frame.Len())
		body = append(body, bytes.NewReader(bytes.Clone(frame.Bytes())))
		frame.Reset()
	}
	for i, file := range files {
		name := field
		if strings.Contains(field, "%d") {
			name = fmt.Sprintf(field, i)
		}
		if _, err := form.CreateFormFile(name, "blob"); err != nil {
			return nil, err
		}
		cut()
		body = append(body, file)
		length += size
	}
	if err := form.Close(); err != nil {
		return nil, err
	}
	cut()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, address, io.MultiReader(body...))
	if err != nil {
		return nil, err
	}
	q.ContentLength = length
	q.Header.Set("Content-Type", form.FormDataContentType())
	if authorization != "" {
		q.Header.Set("Authorization", authorization)
	}
	answer, err := client.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, &StatusError{answer.StatusCode, string(text)}
	}
	return text, nil
}
