package serve

import (
	"net/http"

	"discordcloud/pkg/cloud"
)

// statuses is the one table of HTTP statuses, by the code of an error's kind.
var statuses = map[string]int{
	cloud.CodeOf(cloud.ErrNotFound):        http.StatusNotFound,
	cloud.CodeOf(cloud.ErrExists):          http.StatusConflict,
	cloud.CodeOf(cloud.ErrInvalid):         http.StatusBadRequest,
	cloud.CodeOf(cloud.ErrUnauthenticated): http.StatusUnauthorized,
	cloud.CodeOf(cloud.ErrDenied):          http.StatusForbidden,
	cloud.CodeOf(cloud.ErrTooLarge):        http.StatusRequestEntityTooLarge,
	cloud.CodeOf(cloud.ErrLimited):         http.StatusTooManyRequests,
	cloud.CodeOf(cloud.ErrCorrupt):         http.StatusInternalServerError,
	cloud.CodeOf(cloud.ErrFull):            http.StatusInsufficientStorage,
	cloud.CodeOf(cloud.ErrShutdown):        http.StatusServiceUnavailable,
	cloud.CodeOf(cloud.ErrUnavailable):     http.StatusServiceUnavailable,
}

// StatusOf is the HTTP status of an error's kind, 500 for an unclassified error.
func StatusOf(err error) int {
	if status, ok := statuses[cloud.CodeOf(err)]; ok {
		return status
	}
	return http.StatusInternalServerError
}
