#include "transports/hosts.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/list.h"
#include "base/table.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
	struct link by_name;
	struct host host;
	bool is_used;
	char name[];
};

/* By what one sees that the file is another one. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct hosts {
	const char *path;
	struct log *log;
	struct hash_key key;
	struct table table;
	uint64_t look_ms; /* not before this */
	struct stamp stamp;
};

static struct entry *entry_find(const struct hosts *h, const char *name)
{
	uint64_t key = hash_bytes(&h->key, name, strlen(name));

	for (struct link *l = table_find(&h->table, key); l; l = table_next(&h->table, l)) {
		struct entry *e = owner_of(l, struct entry, by_name);

		if (strcmp(e->name, name) == 0)
			return e;
	}
	return NULL;
}

/* 0, -ENOSPC or -ENOMEM. */
static int entry_new(struct hosts *h, const char *name, struct entry **out)
{
	size_t len = strlen(name) + 1;
	struct entry *e = h->table.count < HOSTS_NAMES_MAX ? calloc(1, sizeof(*e) + len) : NULL;
	int err;

	if (!e)
		return h->table.count < HOSTS_NAMES_MAX ? -ENOMEM : -ENOSPC;
	memcpy(e->name, name, len);
	e->host.name = e->name;
	err = table_add(&h->table, &e->by_name, hash_bytes(&h->key, name, len - 1));
	if (err) {
		free(e);
		return err;
	}
	*out = e;
	return 0;
}

/* Reading --------------------------------------------------------------------------------------------------------- */

static void host_add(struct host *host, const struct addr *a)
{
	unsigned at = host->n;

	for (unsigned i = 0; i < host->n; i++)
		if (addr_eq_ip(&host->addr[i], a))
			return;
	if (host->n == DNS_KEPT_MAX)
		return;
	while (a->family == 4 && at > 0 && host->addr[at - 1].family != 4)
		at--;
	memmove(&host->addr[at + 1], &host->addr[at], (host->n - at) * sizeof(*a));
	host->addr[at] = *a;
	host->n++;
}

/* The first word of `line`, which moves behind it. */
static struct sv next_word(struct sv *line)
{
	struct sv rest = sv_trim(*line);
	size_t len = 0;

	while (len < rest.len && rest.p[len] != ' ' && rest.p[len] != '\t')
		len++;
	*line = sv_skip(rest, len);
	return (struct sv){ rest.p, len };
}

/* ADDRESS NAME...: what cannot be read is passed over. -ENOSPC or -ENOMEM. */
static int take_line(struct hosts *h, struct sv line)
{
	char name[DNS_NAME_MAX + 1];
	struct addr a;
	struct sv word;
	int err = 0;

	line.len = sv_chr(line, '#');
	if (addr_parse(&a, next_word(&line)) || a.port)
		return 0;
	while (!err && (word = next_word(&line)).len) {
		struct entry *e;

		if (dns_name(name, word))
			continue;
		if (!(e = entry_find(h, name)))
			err = entry_new(h, name, &e);
		if (!err)
			host_add(&e->host, &a);
	}
	return err;
}

static bool free_one(void *ctx, struct link *l)
{
	(void)ctx;
	free(owner_of(l, struct entry, by_name));
	return true;
}

static void names_free(struct table *t)
{
	table_each(t, free_one, NULL);
	table_fini(t);
}

/* What does not fit is left out. -ENOMEM. */
static int take_text(struct hosts *h, struct sv text)
{
	int err = 0;

	if (text.len == HOSTS_BYTES_MAX) {
		while (text.len && text.p[text.len - 1] != '\n') /* half a line */
			text.len--;
		log_warn(h->log, "dns.hosts-cut", "path=%s bytes=%zu", h->path, text.len);
	}

	while (text.len && !err) {
		struct sv line = { text.p, sv_chr(text, '\n') };

		err = take_line(h, line);
		text = sv_skip(text, line.len + 1);
	}
	if (err == -ENOSPC)
		log_warn(h->log, "dns.hosts-cut", "path=%s names=%zu", h->path, h->table.count);
	return err == -ENOSPC ? 0 : err;
}

/* The names of `text`, or on -ENOMEM those that were there before. */
static int names_replace(struct hosts *h, struct sv text)
{
	struct table fresh, was = h->table;
	int err = table_init(&fresh, 0);

	if (err)
		return err;
	h->table = fresh;
	err = take_text(h, text);
	if (err) {
		names_free(&h->table);
		h->table = was;
	} else {
		names_free(&was);
	}
	return err;
}

/* Up to HOSTS_BYTES_MAX of them. -errno. */
static int read_text(struct hosts *h)
{
	SCOPED(closep) int fd = open(h->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	SCOPED(freep) char *bytes = fd < 0 ? NULL : malloc(HOSTS_BYTES_MAX);
	size_t len = 0;
	ssize_t got = 1;

	if (fd < 0)
		return -errno;
	while (bytes && len < HOSTS_BYTES_MAX && (got = read(fd, bytes + len, HOSTS_BYTES_MAX - len)) > 0)
		len += (size_t)got;
	if (!bytes || got < 0)
		return bytes ? -errno : -ENOMEM;
	return names_replace(h, (struct sv){ bytes, len });
}

static bool is_same(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

/* What cannot be read now stays as it was, and is tried again at the next look. */
static void look(struct hosts *h, uint64_t now_ms)
{
	struct stamp stamp = { 0 };
	struct stat st;

	h->look_ms = now_ms + HOSTS_LOOK_MS;
	if (stat(h->path, &st) == 0)
		stamp = (struct stamp){ st.st_dev, st.st_ino, st.st_size, st.st_mtim };
	if (!is_same(&stamp, &h->stamp) && read_text(h) == 0)
		h->stamp = stamp;
}

/* --------------------------------------------------------------------------------------------------------------------- */

const struct host *hosts_find(struct hosts *h, const char *name, uint64_t now_ms)
{
	struct entry *e;

	if (now_ms >= h->look_ms)
		look(h, now_ms);
	e = entry_find(h, name);
	if (!e)
		return NULL;
	e->is_used = true;
	return &e->host;
}

struct lister {
	void (*fn)(void *ctx, const struct host *host);
	void *ctx;
};

static bool list_one(void *ctx, struct link *link)
{
	const struct lister *l = ctx;
	const struct entry *e = owner_of(link, struct entry, by_name);

	if (e->is_used)
		l->fn(l->ctx, &e->host);
	return true;
}

void hosts_each_used(const struct hosts *h, void (*fn)(void *ctx, const struct host *host), void *ctx)
{
	table_each(&h->table, list_one, &(struct lister){ fn, ctx });
}

static void hosts_freep(struct hosts **h)
{
	free(*h);
}

int hosts_new(struct hosts **out, const char *path, struct log *log)
{
	SCOPED(hosts_freep) struct hosts *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return -ENOMEM;
	h->path = path;
	h->log = log;
	if ((err = random_bytes(&h->key, sizeof(h->key))) || (err = table_init(&h->table, 0)))
		return err;
	*out = STEAL(h);
	return 0;
}

void hosts_free(struct hosts *h)
{
	if (!h)
		return;
	names_free(&h->table);
	free(h);
}
