package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"discordcloud/tools/internal/rig"
)

// world is what the rows measure: the processes, made when the first row needs
// them.
type world struct {
	options
	dir    string
	memory string // a folder in memory, if there is one
	log    io.Writer

	sandbox, proxy, product *process
	base                    string // of the product
	client                  *rig.Client
	plain                   *http.Client // of the baselines
	big                     *stored
	libraries               map[string]*library // by the kind of their database
	closers                 []func()            // last first, when all processes have ended
}

// stored is a file in the product, with the attachments that it lies in.
type stored struct {
	entry       rig.Entry
	data        rig.Content
	attachments []attachment
}

type attachment struct {
	ID        string `json:"id"`
	MessageID string `json:"message_id"`
	ChannelID string `json:"channel_id"`
	Filename  string `json:"filename"`
	Size      int64  `json:"size"`
}

const services = 3

// start starts what is not running yet.
func (w *world) start(ctx context.Context) error {
	if w.product != nil {
		return w.product.ended()
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	return w.serve(ctx)
}

// prepare builds the product, and starts all that it is measured with.
func (w *world) prepare(ctx context.Context) error {
	if w.proxy != nil {
		return w.proxy.ended()
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if w.binary == "" {
		w.binary = filepath.Join(w.dir, "discord-cloud")
		if err := build(ctx, w.binary); err != nil {
			return err
		}
	}
	if w.sandbox, err = launch(self, nil, true, "as-sandbox", filepath.Join(w.memory, "sandbox")); err != nil {
		return err
	}
	if w.proxy, err = launch(self, nil, true, "as-proxy"); err != nil {
		return err
	}
	w.plain = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10}}
	return nil
}

// serve starts the product, as a user does, but on the sandbox of ours.
func (w *world) serve(ctx context.Context, settings ...string) error {
	port, err := rig.FreePort()
	if err != nil {
		return err
	}
	w.base = "http://127.0.0.1:" + port
	w.product, err = launch(w.binary, append(settings,
		"DATA_DIR="+filepath.Join(w.dir, "data"), "MANAGER_PORT="+port, "SHUTDOWN_GRACE=1s",
		"DISCORD_BOT_TOKEN="+w.sandbox.about.Token, "DISCORD_CHANNEL_IDS="+strings.Join(w.sandbox.about.Channels, ","),
		"DISCORD_API_URL="+w.sandbox.about.URL+"/api/v10",
		fmt.Sprintf("UPLOAD_SERVICES=%d", services), "UPLOAD_CAPACITY=16",
	), false, "serve")
	if err != nil {
		return err
	}
	if err := healthy(ctx, w.base, w.product); err != nil {
		return err
	}
	if w.client, err = rig.SetUp(ctx, w.base); err != nil {
		if w.client, err = rig.SignIn(ctx, w.base); err != nil {
			return err
		}
	}
	if err := w.client.Connect(ctx); err != nil {
		return err
	}
	return w.client.Ready(ctx, services)
}

// healthy waits until a product answers.
func healthy(ctx context.Context, base string, product *process) error {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get(base + "/health")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusNoContent {
				return nil
			}
		}
		if err := errors.Join(product.ended(), ctx.Err()); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the product does not start: %s", product.output())
		}
	}
}

// again replaces the product's process by a fresh one on the same data, with more
// settings.
func (w *world) again(ctx context.Context, settings ...string) error {
	if w.product != nil {
		w.client.Close()
		w.product.stop()
	}
	return w.serve(ctx, settings...)
}

func (w *world) close() {
	for _, l := range w.libraries {
		l.end()
	}
	if w.client != nil {
		w.client.Close()
	}
	for _, p := range []*process{w.product, w.proxy, w.sandbox} {
		if p != nil {
			p.stop()
		}
	}
	for _, f := range slices.Backward(w.closers) {
		f()
	}
}

// ask asks the sandbox, as its bot.
func (w *world) ask(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, w.sandbox.about.URL+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bot "+w.sandbox.about.Token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "DiscordBot (bench, 1)")
	answer, err := w.plain.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: status %d: %s", method, path, answer.StatusCode, text[:min(200, len(text))])
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// line sets the quality of the connections to the sandbox: latency, and bytes
// per second from it.
func (w *world) line(ctx context.Context, latency time.Duration, down int64) error {
	return w.ask(ctx, "PATCH", "/sandbox/settings", map[string]any{"latency": latency.Seconds(), "down": down}, nil)
}

// store uploads a file and finds its attachments.
func (w *world) store(ctx context.Context, folder, name string, data rig.Content) (*stored, error) {
	before, err := w.attachments(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.client.Upload(ctx, folder, name, data); err != nil {
		return nil, err
	}
	after, err := w.attachments(ctx)
	if err != nil {
		return nil, err
	}
	entry, err := w.client.Lookup(ctx, folder+"/"+name)
	return &stored{entry: entry, data: data, attachments: after[len(before):]}, err
}

func (w *world) attachments(ctx context.Context) (all []attachment, err error) {
	err = w.ask(ctx, "GET", "/sandbox/attachments", nil, &all)
	return all, err
}

// large is the large file, uploaded once.
func (w *world) large(ctx context.Context) (*stored, error) {
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	if w.big != nil {
		return w.big, nil
	}
	big, err := w.store(ctx, "/bench", "large", rig.Content{Seed: 1, Size: w.size})
	if err != nil {
		return nil, err
	}
	w.big = big
	return big, nil
}

// links gets a signed link to each attachment.
func (w *world) links(ctx context.Context, of []attachment) ([]string, error) {
	var links []string
	for len(of) > 0 {
		n := min(50, len(of))
		var asked []string
		for _, a := range of[:n] {
			asked = append(asked, fmt.Sprintf("%s/attachments/%s/%s/%s", w.sandbox.about.URL, a.ChannelID, a.ID, a.Filename))
		}
		var got struct {
			Refreshed []struct{ Refreshed string } `json:"refreshed_urls"`
		}
		if err := w.ask(ctx, "POST", "/api/v10/attachments/refresh-urls", map[string]any{"attachment_urls": asked}, &got); err != nil {
			return nil, err
		}
		for _, r := range got.Refreshed {
			links = append(links, r.Refreshed)
		}
		of = of[n:]
	}
	return links, nil
}

// forgetSince deletes what was posted since before was listed.
func (w *world) forgetSince(ctx context.Context, before []attachment) error {
	after, err := w.attachments(ctx)
	if err != nil {
		return err
	}
	return w.forget(ctx, after[len(before):])
}

// forget deletes messages from the sandbox, so that the disk does not fill.
func (w *world) forget(ctx context.Context, of []attachment) error {
	done := map[string]bool{}
	for _, a := range of {
		if !done[a.MessageID] {
			done[a.MessageID] = true
			if err := w.ask(ctx, "DELETE", "/sandbox/messages/"+a.MessageID, nil, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetch reads an address to its end, throws the bytes away, and gives their number
// and the time that it took to the first and to the last.
func fetch(ctx context.Context, get func() (*http.Response, error)) (n int64, first, whole time.Duration, err error) {
	start := time.Now()
	answer, err := get()
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= 300 {
		return 0, 0, 0, fmt.Errorf("status %d", answer.StatusCode)
	}
	buf := make([]byte, 256<<10)
	for {
		k, err := answer.Body.Read(buf)
		if n == 0 && k > 0 {
			first = time.Since(start)
		}
		n += int64(k)
		if err == io.EOF {
			return n, first, time.Since(start), nil
		}
		if err != nil {
			return n, first, time.Since(start), err
		}
	}
}

func (w *world) get(ctx context.Context, address, ranges string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if ranges != "" {
		r.Header.Set("Range", ranges)
	}
	return w.plain.Do(r)
}
