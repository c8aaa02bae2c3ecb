package api

import "discordcloud/manager/internal/policy"

// idList is the longest body of a route that takes a list of ids.
const idList = 64 << 10

// routes are all below /api.
func (a *api) routes() []route {
	return []route{
		{method: "GET", path: "/api/status", do: policy.SeeStatus, handle: a.status},
		{method: "POST", path: "/api/setup", do: policy.SetUp, handle: a.setUp},
		{method: "POST", path: "/api/login", do: policy.SignIn, handle: a.login},
		{method: "POST", path: "/api/logout", do: policy.ManageSessions, handle: a.logout},
		{method: "GET", path: "/api/me", do: policy.SeeSelf, handle: a.me},
		{method: "POST", path: "/api/password", do: policy.ChangePassword, handle: a.changePassword},
		{method: "GET", path: "/api/sessions", do: policy.ManageSessions, handle: a.sessions},
		{method: "DELETE", path: "/api/sessions/{id}", do: policy.ManageSessions, handle: a.endSession},
		{method: "GET", path: "/api/app-passwords", do: policy.ManageAppPasswords, handle: a.appPasswords},
		{method: "POST", path: "/api/app-passwords", do: policy.ManageAppPasswords, handle: a.makeAppPassword},
		{method: "DELETE", path: "/api/app-passwords/{id}", do: policy.ManageAppPasswords, handle: a.revokeAppPassword},
		{method: "GET", path: "/api/users", do: policy.FindUsers, handle: a.users},
		{method: "POST", path: "/api/users", do: policy.ManageUsers, handle: a.createUser},
		{method: "GET", path: "/api/groups", do: policy.FindUsers, handle: a.groups},
		{method: "POST", path: "/api/groups", do: policy.ManageGroups, handle: a.createGroup},
		{method: "PATCH", path: "/api/groups/{id}", do: policy.ManageGroups, handle: a.renameGroup},
		{method: "DELETE", path: "/api/groups/{id}", do: policy.ManageGroups, handle: a.deleteGroup},
		{method: "GET", path: "/api/groups/{id}/members", do: policy.FindUsers, handle: a.members},
		{method: "PUT", path: "/api/groups/{id}/members/{user}", do: policy.ManageGroups, handle: a.setMember},
		{method: "DELETE", path: "/api/groups/{id}/members/{user}", do: policy.ManageGroups, handle: a.setMember},
		{method: "GET", path: "/api/services", do: policy.SeeServices, handle: a.services},
		{method: "GET", path: "/api/debug", do: policy.SeeDebug, handle: a.debug},

		{method: "POST", path: "/api/tickets", do: policy.IssueTicket, on: inBody, handle: a.issueTicket},
		{method: "GET", path: "/api/lookup", do: policy.SeeEntry, on: byPath, handle: a.showEntry},
		{method: "GET", path: "/api/entries/{id}", do: policy.SeeEntry, on: byID, handle: a.showEntry},
		{method: "PATCH", path: "/api/entries/{id}", do: policy.RenameEntry, on: byID, handle: a.changeEntry},
		{method: "GET", path: "/api/entries/{id}/children", do: policy.ListFolder, on: byID, handle: a.children},
		{method: "GET", path: "/api/entries/{id}/sizes", do: policy.ListFolder, on: byID, handle: a.sizes},
		{method: "GET", path: "/api/entries/{id}/storage", do: policy.SeeStorage, on: byID, handle: a.storage},
		{method: "PUT", path: "/api/entries/{id}/star", do: policy.StarEntry, on: byID, handle: a.star},
		{method: "DELETE", path: "/api/entries/{id}/star", do: policy.StarEntry, on: byID, handle: a.star},
		{method: "POST", path: "/api/entries/{id}/folders", do: policy.AddTo, on: byID, handle: a.makeFolders},
		{method: "GET", path: "/api/entries/{id}/content", do: policy.ReadContent, on: byID, ticket: true, handle: a.content},
		{method: "GET", path: "/api/entries/{id}/archive", do: policy.ReadContent, on: byID, ticket: true, handle: a.archive},
		{method: "GET", path: "/api/entries/{id}/shares", do: policy.ShareEntry, on: byID, handle: a.shares},
		{method: "PUT", path: "/api/entries/{id}/shares/{kind}/{of}", do: policy.ShareEntry, on: byID, handle: a.share},
		{method: "DELETE", path: "/api/entries/{id}/shares/{kind}/{of}", do: policy.ShareEntry, on: byID, handle: a.unshare},
		{method: "POST", path: "/api/entries/{id}/transfer", do: policy.TransferFile, on: byID, handle: a.transfer},
		{method: "GET", path: "/api/shared-with-me", do: policy.FindEntries, handle: a.sharedWithMe},
		{method: "GET", path: "/api/shared-by-me", do: policy.FindEntries, handle: a.sharedByMe},
		{method: "GET", path: "/api/entries/{id}/versions", do: policy.SeeVersions, on: byID, handle: a.versions},
		{method: "GET", path: "/api/entries/{id}/versions/{version}/content", do: policy.ReadVersion, on: byID, ticket: true, handle: a.versionContent},
		{method: "POST", path: "/api/entries/{id}/versions/{version}/restore", do: policy.RestoreVersion, on: byID, handle: a.restoreVersion},
		{method: "DELETE", path: "/api/entries/{id}/versions/{version}", do: policy.DeleteVersion, on: byID, handle: a.deleteVersion},
		{method: "GET", path: "/api/stars", do: policy.FindEntries, handle: a.stars},
		{method: "GET", path: "/api/search", do: policy.FindEntries, handle: a.search},
		{method: "GET", path: "/api/entries/{id}/thumbnail", do: policy.ReadContent, on: byID, ticket: true, free: true, handle: a.thumbnail},
		{method: "GET", path: "/api/thumbnail-jobs/{job}/source", do: policy.ReadJob, on: ofJob, job: true, free: true, handle: a.jobSource},
		{method: "POST", path: "/api/copy", do: policy.CopyEntry, on: inBody, body: idList, handle: a.copyMany},
		{method: "POST", path: "/api/move", do: policy.MoveEntry, on: inBody, body: idList, handle: a.moveMany},
		{method: "POST", path: "/api/delete", do: policy.DeleteEntry, on: inBody, body: idList, handle: a.deleteMany},
		{method: "GET", path: "/api/trash", do: policy.ManageTrash, handle: a.trash},
		{method: "POST", path: "/api/trash/restore", do: policy.ManageTrash, body: idList, handle: a.restoreTrash},
		{method: "POST", path: "/api/trash/purge", do: policy.ManageTrash, body: idList, handle: a.purgeTrash},
		{method: "POST", path: "/api/trash/empty", do: policy.ManageTrash, handle: a.emptyTrash},
		{method: "GET", path: "/api/space", do: policy.SeeSpace, handle: a.space},
	}
}
