/* registrar/users.c - the tables of users that a configuration names, kept in step with their files, and how workers see them. */
#include "registrar/users.h"
#include "base/io.h"
#include "base/list.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const struct counter_def users_counter_defs[USERS_COUNTERS] = {
	[USERS_FILES_READ] = { "users_files_read_total", "Files of users that were read, at the start and after each change", false },
	[USERS_FILES_REFUSED] = { "users_files_refused_total", "Files of users that could not be, so that nothing changed", false },
};

/* Counted by the control thread alone. */
struct counted_table {
	unsigned refs;
	struct user_table *table;
};

/* Where users stand: a file, or the domain whose users stand in the configuration. */
struct source {
	struct node in_all;
	struct counted_table *table; /* NULL: never read */
	struct stat seen;            /* of the file when it was read last */
	uint64_t named;              /* in which configuration */
	bool is_file;
	size_t name_len;
	char name[];
};

struct set_entry {
	bool is_file;
	struct sv name;              /* behind the entries */
	struct counted_table *table;
};

/* What workers see: entries in order. */
struct user_set {
	uint64_t gen;
	unsigned n;
	struct set_entry entry[];
};

struct users {
	struct log *log;
	struct digester *digester;
	struct node sources;
	struct counters counters;
	uint64_t confs;              /* adopted */
	unsigned workers, n_old;
	struct user_set *old[USERS_OLD_MAX];
	_Atomic(struct user_set *) now;
	_Atomic uint64_t seen[USERS_WORKERS_MAX]; /* the generation that each worker adopted last */
};

/* Tables ----------------------------------------------------------------------------------------------------------- */

static void table_put(struct counted_table *t)
{
	if (!t || --t->refs)
		return;
	user_table_free(t->table);
	free(t);
}

/* `text` is taken. */
static int table_read(char *text, size_t len, struct counted_table **out, struct user_fault *fault)
{
	struct counted_table *t = malloc(sizeof(*t));
	int err;

	if (!t) {
		free(text);
		*fault = (struct user_fault){ 0, "no memory for it" };
		return -ENOMEM;
	}
	t->refs = 1;
	if ((err = user_table_new(&t->table, text, len, fault))) {
		free(t);
		return err;
	}
	*out = t;
	return 0;
}

/* Until nothing more comes: it may grow while it is read. */
static int read_all(int fd, size_t guess, char **text, size_t *len)
{
	SCOPED(freep) char *p = NULL;
	size_t room = guess < USERS_FILE_MAX ? guess + 1 : USERS_FILE_MAX + 1, at = 0;
	ssize_t got;

	do {
		if (!p || at == room) {
			char *more = realloc(p, p ? 2 * room : room);

			if (!more)
				return -ENOMEM;
			room = p ? 2 * room : room;
			p = more;
		}
		got = read(fd, p + at, room - at);
		at += got > 0 ? (size_t)got : 0;
	} while (got > 0 && at <= USERS_FILE_MAX);
	if (got < 0)
		return -errno;
	*text = STEAL(p);
	*len = at;
	return at <= USERS_FILE_MAX ? 0 : -EFBIG;
}

/* 0, or -errno with what is wrong in `fault`. A pipe would keep the control thread waiting. */
static int file_read(struct source *s, struct counted_table **out, struct user_fault *fault)
{
	SCOPED(closep) int fd = open(s->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	SCOPED(freep) char *text = NULL;
	size_t len = 0;
	int err = 0;

	if (fd < 0 || fstat(fd, &s->seen))
		err = -errno;
	else if (!S_ISREG(s->seen.st_mode))
		err = -EINVAL;
	else if (s->seen.st_size > USERS_FILE_MAX)
		err = -EFBIG;
	else
		err = read_all(fd, (size_t)s->seen.st_size, &text, &len);
	if (err) {
		*fault = (struct user_fault){ 0, strerror(-err) };
		return err;
	}
	return table_read(STEAL(text), len, out, fault);
}

/* Sources ---------------------------------------------------------------------------------------------------------- */

static bool file_has_changed(const struct source *s)
{
	struct stat now = { 0 };

	if (stat(s->name, &now))
		now = (struct stat){ 0 };
	return now.st_ino != s->seen.st_ino || now.st_dev != s->seen.st_dev || now.st_size != s->seen.st_size ||
	       now.st_mtim.tv_sec != s->seen.st_mtim.tv_sec || now.st_mtim.tv_nsec != s->seen.st_mtim.tv_nsec;
}

/* What was read before stays when this cannot be. */
static void source_load(struct users *u, struct source *s)
{
	struct counted_table *t;
	struct user_fault fault;

	s->seen = (struct stat){ 0 };
	if (file_read(s, &t, &fault)) {
		counter_inc(&u->counters, USERS_FILES_REFUSED);
		log_error(u->log, "users.refused", "file=%s line=%zu why=%s kept=%zu", s->name, fault.line, fault.why,
		          s->table ? user_table_lines(s->table->table) : 0);
		return;
	}
	counter_inc(&u->counters, USERS_FILES_READ);
	log_info(u->log, "users.read", "file=%s users=%zu", s->name, user_table_lines(t->table));
	table_put(s->table);
	s->table = t;
}

/* Both lines of one user, as a file would have them. */
static int user_write(struct users *u, const struct conf_registrar *d, const struct conf_user *user, char *at, size_t room)
{
	char hex[2 * DIGEST_KEY_MAX + 1];
	uint8_t ha1[DIGEST_KEY_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < DIGEST_ALGORITHMS; i++) {
		if (digest_ha1(u->digester, i, user->name, d->realm, user->secret, ha1))
			return -EIO;
		digest_hex(ha1, digest_size(i), hex);
		hex[2 * digest_size(i)] = '\0';
		len += (size_t)snprintf(at + len, room - len, "%.*s:%.*s:%s\n", SV_ARG(user->name), SV_ARG(d->realm), hex);
	}
	OPENSSL_cleanse(ha1, sizeof(ha1));
	return (int)len;
}

static int source_write(struct users *u, struct source *s, const struct conf_registrar *d)
{
	enum { LINES = DIGEST_ALGORITHMS * (DIGEST_USER_MAX + USERS_REALM_MAX + 2 * DIGEST_KEY_MAX + 4) };
	SCOPED(freep) char *text = malloc((size_t)d->n_users * LINES + 1);
	struct counted_table *t;
	struct user_fault fault;
	size_t at = 0;
	int err;

	if (!text)
		return -ENOMEM;
	for (unsigned i = 0; i < d->n_users; i++) {
		int got = user_write(u, d, &d->users[i], text + at, LINES);

		if (got < 0)
			return got;
		at += (size_t)got;
	}
	if ((err = table_read(STEAL(text), at, &t, &fault)))
		return err;
	table_put(s->table);
	s->table = t;
	return 0;
}

static bool names_file(const struct conf_registrar *d)
{
	return d->users_file.len != 0;
}

static struct sv source_name(const struct conf_registrar *d)
{
	return names_file(d) ? d->users_file : d->domain;
}

static struct source *source_find(struct users *u, const struct conf_registrar *d)
{
	list_each(n, &u->sources) {
		struct source *s = owner_of(n, struct source, in_all);

		if (s->is_file == names_file(d) && sv_eq((struct sv){ s->name, s->name_len }, source_name(d)))
			return s;
	}
	return NULL;
}

static struct source *source_new(struct users *u, const struct conf_registrar *d)
{
	struct sv name = source_name(d);
	struct source *s = calloc(1, sizeof(*s) + name.len + 1);

	if (!s)
		return NULL;
	s->is_file = names_file(d);
	s->name_len = name.len;
	memcpy(s->name, name.p, name.len);
	list_push(&u->sources, &s->in_all);
	return s;
}

static void source_free(struct source *s)
{
	list_del(&s->in_all);
	table_put(s->table);
	free(s);
}

/* Sets ------------------------------------------------------------------------------------------------------------- */

static int entry_order(bool is_file, struct sv name, const struct set_entry *e)
{
	if (is_file != e->is_file)
		return is_file ? 1 : -1;
	if (name.len != e->name.len)
		return name.len < e->name.len ? -1 : 1;
	return memcmp(name.p, e->name.p, name.len);
}

static int entries_order(const void *a, const void *b)
{
	const struct set_entry *e = a;

	return entry_order(e->is_file, e->name, b);
}

static void set_free(struct user_set *s)
{
	for (unsigned i = 0; s && i < s->n; i++)
		table_put(s->entry[i].table);
	free(s);
}

static struct user_set *set_new(const struct users *u)
{
	size_t n = 0, text = 0;
	struct user_set *set;
	char *at;

	list_each(node, &u->sources) {
		n++;
		text += owner_of(node, struct source, in_all)->name_len;
	}
	if (!(set = calloc(1, sizeof(*set) + n * sizeof(set->entry[0]) + text)))
		return NULL;
	at = (char *)&set->entry[n];
	list_each(node, &u->sources) {
		const struct source *s = owner_of(node, struct source, in_all);

		memcpy(at, s->name, s->name_len);
		set->entry[set->n++] = (struct set_entry){ s->is_file, { at, s->name_len }, s->table };
		if (s->table)
			s->table->refs++;
		at += s->name_len;
	}
	qsort(set->entry, set->n, sizeof(set->entry[0]), entries_order);
	return set;
}

static void collect(struct users *u)
{
	uint64_t least = UINT64_MAX;
	unsigned kept = 0;

	for (unsigned i = 0; i < u->workers; i++) {
		uint64_t seen = atomic_load_explicit(&u->seen[i], memory_order_acquire);

		least = seen < least ? seen : least;
	}
	for (unsigned i = 0; i < u->n_old; i++) {
		if (u->old[i]->gen < least)
			set_free(u->old[i]);
		else
			u->old[kept++] = u->old[i];
	}
	u->n_old = kept;
}

/* There is room among the old ones. */
static int publish(struct users *u)
{
	struct user_set *now = atomic_load_explicit(&u->now, memory_order_relaxed), *next = set_new(u);

	if (!next)
		return -ENOMEM;
	next->gen = now ? now->gen + 1 : 1;
	if (now)
		u->old[u->n_old++] = now;
	atomic_store_explicit(&u->now, next, memory_order_release);
	return 0;
}

int users_new(struct users **out, unsigned workers, struct log *log)
{
	struct users *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	list_init(&u->sources);
	if (digester_new(&u->digester) || counters_init(&u->counters, users_counter_defs, USERS_COUNTERS)) {
		users_free(u);
		return -ENOMEM;
	}
	u->log = log;
	u->workers = workers < USERS_WORKERS_MAX ? workers : USERS_WORKERS_MAX;
	*out = u;
	return 0;
}

void users_free(struct users *u)
{
	if (!u)
		return;
	list_each_safe(n, &u->sources)
		source_free(owner_of(n, struct source, in_all));
	for (unsigned i = 0; i < u->n_old; i++)
		set_free(u->old[i]);
	set_free(atomic_load_explicit(&u->now, memory_order_relaxed));
	digester_free(u->digester);
	counters_fini(&u->counters);
	free(u);
}

static int source_adopt(struct users *u, const struct conf_registrar *d)
{
	struct source *s = source_find(u, d);
	bool is_new = !s;

	if (!s && !(s = source_new(u, d)))
		return -ENOMEM;
	s->named = u->confs;
	if (!s->is_file)
		return source_write(u, s, d);
	if (is_new || file_has_changed(s))
		source_load(u, s);
	return 0;
}

int users_adopt(struct users *u, const struct conf *c)
{
	int err;

	collect(u);
	if (u->n_old == USERS_OLD_MAX)
		return -EBUSY;
	u->confs++;
	for (unsigned i = 0; i < c->n_registrars; i++)
		if (c->registrars[i].auth == AUTH_USERS && (err = source_adopt(u, &c->registrars[i])))
			return err;
	list_each_safe(n, &u->sources) /* workers may still have the configuration before this one */
		if (owner_of(n, struct source, in_all)->named + 1 < u->confs)
			source_free(owner_of(n, struct source, in_all));
	return publish(u);
}

void users_poll(struct users *u)
{
	bool has_news = false;

	collect(u);
	if (u->n_old == USERS_OLD_MAX)
		return;
	list_each(n, &u->sources) {
		struct source *s = owner_of(n, struct source, in_all);
		const struct counted_table *before = s->table;

		if (s->is_file && file_has_changed(s))
			source_load(u, s);
		has_news |= s->table != before;
	}
	if (has_news && publish(u))
		log_error(u->log, "users.refused", "why=%s", "no memory");
}

const struct counters *users_counters(const struct users *u)
{
	return &u->counters;
}

/* A worker's view -------------------------------------------------------------------------------------------------- */

static const struct user_table *find(const struct user_set *set, const struct conf_registrar *d)
{
	struct sv name = source_name(d);
	unsigned low = 0, high = set ? set->n : 0;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		int order = entry_order(names_file(d), name, &set->entry[middle]);

		if (order == 0)
			return set->entry[middle].table ? set->entry[middle].table->table : NULL;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static int reader_find(struct user_source *s, const struct conf_registrar *d, struct sv user, struct user_keys *keys)
{
	const struct user_table *t = find(owner_of(s, struct user_reader, source)->set, d);

	return t ? user_table_find(t, user, d->realm, keys) : -EIO;
}

static int reader_ask(struct user_source *s, const struct conf_registrar *d, struct sv user, struct user_ask *ask)
{
	(void)s, (void)d, (void)user, (void)ask;
	return -EIO; /* what is not found is not there */
}

static void reader_cancel(struct user_source *s, struct user_ask *ask)
{
	(void)s, (void)ask; /* nothing was asked */
}

static unsigned reader_algorithms(struct user_source *s, const struct conf_registrar *d)
{
	const struct user_table *t = find(owner_of(s, struct user_reader, source)->set, d);

	return t ? user_table_algorithms(t) : (1u << DIGEST_ALGORITHMS) - 1;
}

void user_reader_init(struct user_reader *r, struct users *users, unsigned worker)
{
	*r = (struct user_reader){ .source = { reader_find, reader_ask, reader_cancel, reader_algorithms }, .users = users,
	                           .worker = worker };
}

void user_reader_adopt(struct user_reader *r)
{
	const struct user_set *now;

	if (!r->users || (now = atomic_load_explicit(&r->users->now, memory_order_acquire)) == r->set)
		return;
	r->set = now;
	atomic_store_explicit(&r->users->seen[r->worker], now->gen, memory_order_release);
}
