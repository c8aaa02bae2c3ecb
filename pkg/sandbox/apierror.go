package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// apiError is an answer of the API that is not a success.
type apiError struct {
	status  int
	code    int
	message string
	errors  *formErrors
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%d: %s (code %d)", e.status, e.message, e.code)
}

// fail makes an error answer with Discord's words for the code.
func fail(status, code int) error {
	return &apiError{status: status, code: code, message: codeText(status, code)}
}

func codeText(status, code int) string {
	if text, ok := codeTexts[code]; ok {
		return text
	}
	return fmt.Sprintf("%d: %s", status, http.StatusText(status))
}

var codeTexts = map[int]string{
	10003: "Unknown Channel",
	10004: "Unknown Guild",
	10008: "Unknown Message",
	10013: "Unknown User",
	10015: "Unknown Webhook",
	30007: "Maximum number of webhooks reached (15)",
	30013: "Maximum number of guild channels reached (500)",
	30015: "Maximum number of attachments in a message reached (10)",
	30046: "Maximum number of edits to messages older than 1 hour reached. Try again later.",
	40005: "Request entity too large",
	40333: "internal network error",
	50001: "Missing Access",
	50005: "Cannot edit a message authored by another user",
	50006: "Cannot send an empty message",
	50013: "Missing Permissions",
	50016: "Provided too few or too many messages to delete. Must provide at least 2 and fewer than 100 messages to delete.",
	50024: "Cannot execute action on this channel type",
	50027: "Invalid Webhook Token",
	50034: "A message provided was too old to bulk delete",
	50035: "Invalid Form Body",
	50041: "Invalid API version",
	50109: "The request body contains invalid JSON.",
	50146: "Uploaded file not found.",
}

// formErrors is the tree of error code 50035, which mirrors the request.
type formErrors struct {
	leaves []formError
	kids   map[string]*formErrors
}

type formError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// add puts an error at a path: keys of objects, and indexes of arrays.
func (f *formErrors) add(code, message string, path ...any) {
	for _, step := range path {
		key := ""
		switch v := step.(type) {
		case int:
			key = strconv.Itoa(v)
		case string:
			key = v
		}
		if f.kids == nil {
			f.kids = map[string]*formErrors{}
		}
		kid := f.kids[key]
		if kid == nil {
			kid = &formErrors{}
			f.kids[key] = kid
		}
		f = kid
	}
	f.leaves = append(f.leaves, formError{code, message})
}

// err is nil if nothing was added.
func (f *formErrors) err() error {
	if len(f.leaves) == 0 && len(f.kids) == 0 {
		return nil
	}
	return &apiError{status: http.StatusBadRequest, code: 50035, message: codeTexts[50035], errors: f}
}

// MarshalJSON writes the tree as Discord does.
func (f *formErrors) MarshalJSON() ([]byte, error) {
	out := map[string]any{}
	for key, kid := range f.kids {
		out[key] = kid
	}
	if len(f.leaves) > 0 {
		out["_errors"] = f.leaves
	}
	return json.Marshal(out)
}

// formFail is a form error at one path.
func formFail(code, message string, path ...any) error {
	var f formErrors
	f.add(code, message, path...)
	return f.err()
}

// errAnswered says that the answer, an error, is out already.
var errAnswered = errors.New("answered")
