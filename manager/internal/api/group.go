package api

import (
	"net/http"
	"strconv"

	"discordcloud/pkg/cloud"
)

// maxGroups is how many groups one search gives.
const maxGroups = 50

type groupRecord struct {
	ID   cloud.GroupID `json:"id"`
	Name string        `json:"name"`
}

// nameRecord is a user by name, as everybody may know him.
type nameRecord struct {
	ID   cloud.UserID `json:"id"`
	Name string       `json:"name"`
}

// number reads a number of the route's path.
func (q *call) number(name string) (int64, error) {
	n, err := strconv.ParseInt(q.r.PathValue(name), 10, 64)
	if err != nil || n < 0 {
		return 0, cloud.UserErrorf(cloud.ErrInvalid, "an id is a whole number")
	}
	return n, nil
}

// done answers with nothing.
func (q *call) done() error {
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) groups(q *call) error {
	found, err := a.Auth.Groups(q.ctx(), q.who, q.r.URL.Query().Get("query"), maxGroups)
	if err != nil {
		return err
	}
	records := make([]groupRecord, 0, len(found))
	for _, g := range found {
		records = append(records, groupRecord{g.ID, g.Name})
	}
	return q.answer(map[string]any{"groups": records})
}

func (a *api) createGroup(q *call) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	g, err := a.Auth.CreateGroup(q.ctx(), q.who, in.Name)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"group": groupRecord{g.ID, g.Name}})
}

func (a *api) renameGroup(q *call) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	id, err := q.number("id")
	if err != nil {
		return err
	}
	g, err := a.Auth.RenameGroup(q.ctx(), q.who, cloud.GroupID(id), in.Name)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"group": groupRecord{g.ID, g.Name}})
}

func (a *api) deleteGroup(q *call) error {
	id, err := q.number("id")
	if err != nil {
		return err
	}
	if err := a.Auth.DeleteGroup(q.ctx(), q.who, cloud.GroupID(id)); err != nil {
		return err
	}
	return q.done()
}

func (a *api) members(q *call) error {
	id, err := q.number("id")
	if err != nil {
		return err
	}
	users, err := a.Auth.Members(q.ctx(), q.who, cloud.GroupID(id))
	if err != nil {
		return err
	}
	records := make([]nameRecord, 0, len(users))
	for _, u := range users {
		records = append(records, nameRecord{u.ID, u.Name})
	}
	return q.answer(map[string]any{"users": records})
}

// setMember puts a user into a group, or takes him out.
func (a *api) setMember(q *call) error {
	id, err := q.number("id")
	if err != nil {
		return err
	}
	user, err := q.number("user")
	if err != nil {
		return err
	}
	if err := a.Auth.SetMember(q.ctx(), q.who, cloud.GroupID(id), cloud.UserID(user), q.r.Method == http.MethodPut); err != nil {
		return err
	}
	return q.done()
}
