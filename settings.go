package main

import (
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"discordcloud/manager"
	"discordcloud/pkg/blob/bucketblob"
	"discordcloud/pkg/config"
)

// envFileName is where serve keeps the settings it made, below DATA_DIR.
const envFileName = "discord-cloud.env"

// load opens the settings: those of the named file, or of the one in DATA_DIR
// if it is there.
func (a *app) load(file string) error {
	named := file != ""
	if !named {
		dir := os.Getenv("DATA_DIR")
		if dir == "" {
			dir = defaultDataDir
		}
		file = filepath.Join(dir, envFileName)
	}
	vars, err := config.ReadFile(file)
	switch {
	case err == nil:
		if err := checkMode(file); err != nil {
			return err
		}
		a.file = file
	case errors.Is(err, fs.ErrNotExist) && !named:
		vars = nil
	default:
		return &configError{err}
	}
	a.env = config.New(config.Overlay(vars))
	return nil
}

// checkMode refuses a file of secrets that others can read.
func checkMode(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return misconfigured("%s holds secrets and can be read by others (mode %04o): chmod 600 %s", file, info.Mode().Perm(), file)
	}
	return nil
}

const defaultDataDir = "./data"

// The declarations, one function a part: commands that share a part share its
// declarations.

func (a *app) dataDir() string {
	return a.env.String("DATA_DIR", defaultDataDir, "where everything is kept that must stay")
}

// database is zero for SQLite in the data folder.
func (a *app) database() manager.Database {
	url := a.env.Secret("DATABASE_URL", "of the manager: postgres://user:password@host/name, or sqlite for a file in DATA_DIR; default: the Supabase project if one is given, else sqlite")
	supabase := a.supabase()
	switch text := url.Reveal(); {
	case text == "" && supabase.known():
		return manager.Database{URL: config.Secret(supabase.url), Key: supabase.key}
	case text == "" || text == "sqlite":
		return manager.Database{}
	case !manager.IsDatabaseURL(text):
		a.env.Problemf("DATABASE_URL", "it must begin with postgres://, or be sqlite")
	}
	return manager.Database{URL: url}
}

// project is one of Supabase.
type project struct {
	url string
	key config.Secret
}

func (p project) known() bool { return p.url != "" && p.key != "" }

func (a *app) supabase() project {
	if a.project == nil {
		a.project = &project{
			url: a.env.URL("SUPABASE_URL", "", "of a Supabase project, for the database and for THUMBNAIL_STORE", "https", "http"),
			key: a.env.Secret("SUPABASE_KEY", "of its service role, or a secret key"),
		}
		if p := a.project; (p.url == "") != (p.key == "") {
			a.env.Problemf("SUPABASE_URL", "it goes together with SUPABASE_KEY")
		}
	}
	return *a.project
}

type listenSettings struct {
	host    string
	port    int
	public  string
	origins []string
	proxies []string
	legacy  bool
	davHTTP bool
	davNot  []string
	grace   time.Duration
}

func (a *app) listenSettings() listenSettings {
	return listenSettings{
		host:    a.env.String("MANAGER_HOST", "127.0.0.1", "address to listen on; 0.0.0.0 for all"),
		port:    a.env.Int("MANAGER_PORT", 8080, 0, 65535, "port to listen on; 0 for any free one"),
		public:  a.env.URL("PUBLIC_URL", "", "address under which people reach the manager; default: from their request", "http", "https"),
		origins: a.env.List("PAGE_ORIGINS", "further origins that may serve the page, comma-separated"),
		proxies: a.env.List("TRUSTED_PROXIES", "addresses or networks of proxies whose X-Forwarded headers count"),
		legacy:  a.env.Bool("LEGACY_QUERY_AUTH", true, "passwords and tokens in queries, for clients of version 1; 0 closes them"),
		davHTTP: a.env.Bool("DAV_ALLOW_HTTP", false, "WebDAV passwords over plain HTTP from other machines, too; 1 allows it"),
		davNot:  a.env.List("DAV_REFUSE", "names that WebDAV clients may not make, comma-separated, such as desktop.ini,._*"),
		grace:   a.grace(),
	}
}

func (a *app) grace() time.Duration {
	return a.env.Duration("SHUTDOWN_GRACE", 30*time.Second, 0, "how long running transfers may go on after a signal")
}

type secretSettings struct {
	password config.Secret
	private  config.Secret
	public   config.Secret
	messages config.Secret
}

// secretNames are the settings that serve can make by itself.
var secretNames = []string{"SERVICE_PASSWORD", "PRIVATE_KEY", "PUBLIC_KEY", "MESSAGE_ENCRYPTION_KEY"}

func (a *app) secretSettings() secretSettings {
	return secretSettings{
		password: a.env.Secret("SERVICE_PASSWORD", "shared by the manager and its services"),
		private:  a.env.Secret("PRIVATE_KEY", "signs session tokens: base64 of an RSA key in PEM"),
		public:   a.env.Secret("PUBLIC_KEY", "checks session tokens: base64 of the public key in PEM"),
		messages: a.env.Secret("MESSAGE_ENCRYPTION_KEY", "base64 of 32 bytes; several, newest first, comma-separated"),
	}
}

type discordSettings struct {
	token    config.Secret
	channels []string
	api      string
	cdnHosts []string
	limit    int64 // of attachments, 0 to find it out
}

// mostAttachment is the largest attachment that is made, whatever the guild
// allows: parts of that size have to fit into UPLOAD_MEMORY.
const mostAttachment = 20 << 20

func (a *app) discordSettings() discordSettings {
	s := discordSettings{
		token:    a.env.Secret("DISCORD_BOT_TOKEN", "of the bot that posts; several, comma-separated, share the work; without it serve uses the embedded sandbox"),
		channels: a.env.Snowflakes("DISCORD_CHANNEL_IDS", "channels to post to, comma-separated"),
		api:      a.env.URL("DISCORD_API_URL", "", "another address of the API, such as a sandbox's", "https", "http"),
		cdnHosts: a.env.List("DISCORD_CDN_HOSTS", "hosts that attachments may be fetched from, comma-separated; default: Discord's"),
	}
	switch limit := a.env.String("DISCORD_ATTACHMENT_LIMIT", "auto", "largest attachment: a size up to 20MiB; auto is 10MiB, or 20MiB if the boosts of the guild allow it"); limit {
	case "auto":
	default:
		n, err := config.ParseBytes(limit)
		if err != nil || n < 256<<10 || n > mostAttachment {
			a.env.Problemf("DISCORD_ATTACHMENT_LIMIT", "%q is neither auto nor a size of 256KiB to 20MiB", limit)
		}
		s.limit = n
	}
	if s.token != "" && len(s.channels) == 0 {
		a.env.Problemf("DISCORD_CHANNEL_IDS", "missing (a bot token needs at least one channel to post to)")
	}
	return s
}

type sandboxSettings struct {
	port     int
	token    config.Secret
	limits   string
	channels int
}

func (a *app) sandboxSettings() sandboxSettings {
	s := sandboxSettings{
		port:     a.env.Int("SANDBOX_PORT", 0, 0, 65535, "port of the embedded sandbox; 0 for any free one"),
		token:    a.env.Secret("SANDBOX_TOKEN", "bot token that the sandbox takes; default: made once"),
		limits:   a.env.String("SANDBOX_LIMITS", "off", "rate limits of the sandbox: off, live or strict"),
		channels: a.env.Int("SANDBOX_CHANNELS", 4, 1, 50, "text channels that an empty sandbox begins with"),
	}
	switch s.limits {
	case "off", "live", "strict":
	default:
		a.env.Problemf("SANDBOX_LIMITS", "%q is not off, live or strict", s.limits)
	}
	return s
}

type readSettings struct {
	ahead  int
	memory int64
	cache  int64
}

func (a *app) readSettings() readSettings {
	s := readSettings{
		cache:  a.env.Bytes("CACHE_SIZE", 0, 0, "disk below DATA_DIR for sealed bytes that were read lately, such as 10GiB; 0 for none"),
		ahead:  a.env.Int("READ_AHEAD", 16, 1, 64, "pieces of 1 MiB that one download fetches at a time, at most"),
		memory: a.env.Bytes("READ_MEMORY", 32<<20, 4<<20, "memory for reading ahead, over all downloads"),
	}
	if s.cache > 0 && s.cache < 8<<20 {
		a.env.Problemf("CACHE_SIZE", "%s is too little to be of use: at least 8MiB", config.FormatBytes(s.cache))
	}
	return s
}

func (a *app) uploadMemory() int64 {
	return a.env.Bytes("UPLOAD_MEMORY", 48<<20, 24<<20, "memory for parts under way, for each upload service")
}

func (a *app) capacity() int {
	return a.env.Int("UPLOAD_CAPACITY", 4, 1, 64, "files that one upload service takes at the same time")
}

// serviceSettings are those of an upload service that runs alone.
type serviceSettings struct {
	managers []string
	address  string
	host     string
	port     int
}

func (a *app) serviceSettings() serviceSettings {
	return serviceSettings{
		managers: a.env.URLs("MANAGER_ADDRESS", "of a service: address of its manager, such as ws://host:8080; of several, comma-separated", "ws", "wss"),
		address:  a.env.URL("OWN_ADDRESS", "", "of a service: address under which browsers reach it", "http", "https"),
		host:     a.env.String("HOST", "127.0.0.1", "of a service: address to listen on"),
		port:     a.env.Int("PORT", 0, 1, 65535, "of a service: port to listen on"),
	}
}

func (a *app) uploadServices() int {
	return a.env.Int("UPLOAD_SERVICES", 3, 0, 32, "upload services in the process of serve")
}

const day = 24 * time.Hour

// retention is what a manager keeps of what people delete and replace.
func (a *app) retention() manager.Retention {
	return manager.Retention{
		Trash:      day * time.Duration(a.env.Int("TRASH_DAYS", 30, 0, 3650, "days that deleted files stay in the trash; 0 for no trash")),
		Versions:   a.env.Int("VERSIONS", 10, 0, 1000, "former contents that are kept of an overwritten file; 0 for none"),
		VersionAge: day * time.Duration(a.env.Int("VERSION_DAYS", 30, 0, 3650, "days that a former content is kept; 0 for none")),
	}
}

// collect is how a manager deletes messages that nothing refers to.
func (a *app) collect() manager.Collect {
	return manager.Collect{
		Grace:   a.env.Duration("COLLECT_GRACE", 24*time.Hour, time.Hour, "how long messages are of no use before they are deleted in Discord"),
		Daily:   a.env.Int("COLLECT_DAILY", 10_000, 0, 1_000_000, "messages that are deleted in 24 hours, at most; 0 deletes none"),
		Orphans: a.env.Bool("COLLECT_ORPHANS", false, "delete messages of the bots that the database does not know, too; 1 only where the bots serve nothing else"),
	}
}

// mail is the server by which a manager sends mail; public is its PUBLIC_URL,
// without which the links in mails would be made of what a request says.
func (a *app) mail(public string) manager.Mail {
	m := manager.Mail{
		URL:  a.env.Secret("SMTP_URL", "server that takes mail, smtp://user:password@host:587 (STARTTLS) or smtps://…; needs PUBLIC_URL; without it there is no mail"),
		From: a.env.String("MAIL_FROM", "", "address that mail comes from, such as cloud@example.org"),
	}
	if m.URL == "" {
		return m
	}
	if err := m.Check(); err != nil {
		a.env.Problemf("SMTP_URL", "%v (or MAIL_FROM is none)", err)
	}
	if public == "" {
		a.env.Problemf("PUBLIC_URL", "missing (mails hold links to it)")
	}
	return m
}

// openID is another provider of sign-ins.
func (a *app) openID() manager.OpenID {
	o := manager.OpenID{
		Issuer:       a.env.URL("OIDC_ISSUER", "", "provider of OpenID Connect by which people may sign in, such as https://id.example.org; it sends them back to PUBLIC_URL/api/openid/return", "https", "http"),
		ClientID:     a.env.String("OIDC_CLIENT_ID", "", "what this server is to the provider"),
		ClientSecret: a.env.Secret("OIDC_CLIENT_SECRET", "by which the provider knows this server; none for a public client"),
		Name:         a.env.String("OIDC_NAME", "", "the provider as the page names it; default: its host"),
		SignUp:       a.env.Bool("OIDC_SIGN_UP", false, "whoever the provider knows may make an account; 1 allows it"),
	}
	if o.Issuer == "" {
		return o
	}
	if o.ClientID == "" {
		a.env.Problemf("OIDC_CLIENT_ID", "missing (OIDC_ISSUER needs it)")
	}
	u, err := url.Parse(o.Issuer)
	if err != nil {
		return o // told already
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		a.env.Problemf("OIDC_ISSUER", "it must begin with https:// but on this machine itself")
	}
	if o.Name == "" {
		o.Name = u.Hostname()
	}
	return o
}

type thumbnailSettings struct {
	store  string
	bucket bucketblob.Options
	cache  int64
	format string
}

// thumbnailSettings are those of a manager.
func (a *app) thumbnailSettings() thumbnailSettings {
	var bucket bucketblob.Options
	supabase := a.supabase()
	if supabase.known() {
		bucket = bucketblob.Options{URL: supabase.url, Key: supabase.key, Bucket: "thumbnails"}
	}
	store := a.env.String("THUMBNAIL_STORE", "discord", "where thumbnails are kept, sealed: discord, disk for DATA_DIR, or supabase for a private bucket of Supabase Storage")
	switch {
	case store == "supabase" && !supabase.known():
		a.env.Problemf("THUMBNAIL_STORE", "supabase needs SUPABASE_URL and SUPABASE_KEY")
	case store != "discord" && store != "disk" && store != "supabase":
		a.env.Problemf("THUMBNAIL_STORE", "%q is neither discord nor disk nor supabase", store)
	}
	format := a.env.String("THUMBNAIL_FORMAT", "jpeg", "format of new thumbnails: jpeg, or webp or avif where the manager finds vipsthumbnail")
	if format != "jpeg" && format != "webp" && format != "avif" {
		a.env.Problemf("THUMBNAIL_FORMAT", "%q is neither jpeg nor webp nor avif", format)
	}
	return thumbnailSettings{
		format: format,
		store:  store,
		bucket: bucket,
		cache:  a.env.Bytes("THUMBNAIL_CACHE", 256<<20, 1<<20, "thumbnails kept in DATA_DIR for quick reading, sealed"),
	}
}

func (a *app) thumbnailServices() int {
	return a.env.Int("THUMBNAIL_SERVICES", 1, 0, 16, "thumbnail services in the process of serve")
}

func (a *app) thumbnailCapacity() int {
	return a.env.Int("THUMBNAIL_CAPACITY", 2, 1, 16, "thumbnails that one service makes at the same time")
}

// settings are those that have been declared, for administrators to see. None
// shows a secret.
func (a *app) settings() []manager.Setting {
	vars := a.env.Vars()
	all := make([]manager.Setting, 0, len(vars))
	for _, v := range vars {
		all = append(all, manager.Setting(v))
	}
	return all
}

// declareAll declares every setting of every command, for printing.
func (a *app) declareAll() {
	a.dataDir()
	a.database()
	a.mail(a.listenSettings().public)
	a.openID()
	a.secretSettings()
	a.discordSettings()
	a.sandboxSettings()
	a.readSettings()
	a.retention()
	a.collect()
	a.uploadServices()
	a.thumbnailServices()
	a.thumbnailCapacity()
	a.thumbnailSettings()
	a.capacity()
	a.uploadMemory()
	a.serviceSettings()
	a.logger()
}
