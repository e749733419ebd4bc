/* registrar/user_table.c - a file of users as a table: the text as it was read, and where in it each line begins. */
#include "registrar/users.h"
#include "base/hash.h"
#include <errno.h>
#include <stdlib.h>

/* `at` - 1 is where the line begins; 0: empty. */
struct slot {
	uint32_t at, mark;           /* mark: upper half of the hash */
};

struct user_table {
	char *text;
	size_t len, lines, users;
	size_t with[DIGEST_ALGORITHMS]; /* users that have one of it */
	struct hash_key key;
	size_t mask;
	struct slot slots[];
};
_Static_assert(USERS_FILE_MAX < UINT32_MAX, "a place in it is 32 bits");
_Static_assert((int)CONF_USER_MAX <= (int)DIGEST_USER_MAX, "who is configured can be asked for");

struct line {
	struct sv user, realm, ha1, aors;
	uint8_t algorithm;
};

static bool field_next(struct sv *rest, struct sv *field)
{
	size_t colon = sv_chr(*rest, ':');

	*field = (struct sv){ rest->p, colon };
	*rest = sv_skip(*rest, colon + 1);
	return field->len != 0;
}

static bool is_printable(struct sv v)
{
	for (size_t i = 0; i < v.len; i++)
		if ((uint8_t)v.p[i] < ' ' || v.p[i] == 0x7f)
			return false;
	return true;
}

/* NULL, or what is wrong with it. */
static const char *line_read(struct sv text, struct line *l)
{
	uint8_t ha1[DIGEST_KEY_MAX];
	struct sv rest = text;

	if (!is_printable(text))
		return "a control character";
	if (!field_next(&rest, &l->user) || !field_next(&rest, &l->realm) || !field_next(&rest, &l->ha1))
		return "not user:realm:ha1";
	if (l->user.len > DIGEST_USER_MAX || l->realm.len > USERS_REALM_MAX || rest.len > USERS_AORS_MAX)
		return "a field is too long";
	for (l->algorithm = 0; l->algorithm < DIGEST_ALGORITHMS; l->algorithm++)
		if (digest_unhex(l->ha1, ha1, digest_size(l->algorithm)))
			break;
	l->aors = rest;
	return l->algorithm < DIGEST_ALGORITHMS ? NULL : "ha1 is neither 32 (MD5) nor 64 (SHA-256) hexadecimal digits";
}

/* The line that begins at `at`, without its end; false: nothing stands in it. */
static bool line_at(const struct user_table *t, size_t at, struct sv *line)
{
	const char *from = t->text + at, *end = memchr(from, '\n', t->len - at);

	*line = sv_trim(sv_span(from, end ? end : t->text + t->len));
	return line->len && line->p[0] != '#';
}

static uint64_t hash_of(const struct user_table *t, struct sv user, struct sv realm)
{
	const struct sv parts[] = { user, realm };

	return hash_parts(&t->key, parts, 2);
}

/* The next line of this user from slot `*i` on, which is moved behind it. */
static bool find_next(const struct user_table *t, uint64_t hash, struct sv user, struct sv realm, size_t *i, struct line *l)
{
	for (; t->slots[*i & t->mask].at; (*i)++) {
		const struct slot *s = &t->slots[*i & t->mask];
		struct sv text;

		if (s->mark != (uint32_t)(hash >> 32))
			continue;
		line_at(t, s->at - 1, &text);
		if (line_read(text, l) || !sv_eq(l->user, user) || !sv_eq(l->realm, realm))
			continue;
		(*i)++;
		return true;
	}
	return false;
}

static const char *line_add(struct user_table *t, size_t at, const struct line *l)
{
	uint64_t hash = hash_of(t, l->user, l->realm);
	size_t i = hash;
	bool is_known = false;
	struct line other;

	while (find_next(t, hash, l->user, l->realm, &i, &other)) {
		if (other.algorithm == l->algorithm)
			return "this user stands there twice";
		is_known = true;
	}
	t->slots[i & t->mask] = (struct slot){ .at = (uint32_t)at + 1, .mark = (uint32_t)(hash >> 32) };
	t->users += !is_known;
	t->with[l->algorithm]++;
	t->lines++;
	return NULL;
}

static size_t count_lines(const char *text, size_t len)
{
	const char *end = text + len;
	size_t n = 1;

	while ((text = memchr(text, '\n', (size_t)(end - text)))) {
		text++;
		n++;
	}
	return n;
}

static int fill(struct user_table *t, struct user_fault *fault)
{
	size_t number = 1;

	for (size_t at = 0; at < t->len; number++) {
		const char *end = memchr(t->text + at, '\n', t->len - at);
		const char *why = NULL;
		struct line l;
		struct sv text;

		if (line_at(t, at, &text) && !(why = line_read(text, &l)))
			why = line_add(t, at, &l);
		if (why) {
			*fault = (struct user_fault){ number, why };
			return -EBADMSG;
		}
		at = end ? (size_t)(end - t->text) + 1 : t->len;
	}
	return 0;
}

int user_table_new(struct user_table **out, char *text, size_t len, struct user_fault *fault)
{
	size_t slots = 2, lines = len <= USERS_FILE_MAX ? count_lines(text, len) : 0;
	struct user_table *t = NULL;
	int err = -ENOMEM;

	if (!lines) {
		*fault = (struct user_fault){ 0, "too long" };
		free(text);
		return -EBADMSG;
	}
	while (slots < 2 * lines) /* at least half of them stay empty: a search ends soon */
		slots *= 2;
	if ((t = calloc(1, sizeof(*t) + slots * sizeof(t->slots[0])))) {
		*t = (struct user_table){ .text = text, .len = len, .mask = slots - 1 };
		if (!(err = random_bytes(&t->key, sizeof(t->key))))
			err = fill(t, fault);
	}
	if (err) {
		if (err != -EBADMSG)
			*fault = (struct user_fault){ 0, "no memory for it" };
		free(text);
		free(t);
		return err;
	}
	*out = t;
	return 0;
}

void user_table_free(struct user_table *t)
{
	if (!t)
		return;
	free(t->text);
	free(t);
}

int user_table_find(const struct user_table *t, struct sv user, struct sv realm, struct user_keys *keys)
{
	uint64_t hash = hash_of(t, user, realm);
	size_t i = hash;
	struct line l;

	*keys = (struct user_keys){ 0 };
	while (find_next(t, hash, user, realm, &i, &l)) {
		keys->algorithms |= (uint8_t)(1u << l.algorithm);
		digest_unhex(l.ha1, keys->ha1[l.algorithm], digest_size(l.algorithm));
		if (!l.aors.len)
			continue;
		memcpy(keys->aors, l.aors.p, l.aors.len);
		keys->aors_len = (uint8_t)l.aors.len;
	}
	return keys->algorithms ? 0 : -ENOENT;
}

size_t user_table_lines(const struct user_table *t)
{
	return t->lines;
}

unsigned user_table_algorithms(const struct user_table *t)
{
	unsigned all = 0, any = 0;

	for (unsigned i = 0; i < DIGEST_ALGORITHMS; i++) {
		all |= (unsigned)(t->with[i] == t->users) << i;
		any |= (unsigned)(t->with[i] != 0) << i;
	}
	return all ? all : any;
}

bool user_owns(const struct user_keys *k, struct sv user, struct sv name, struct sv host)
{
	struct sv rest = { k->aors, k->aors_len };
	size_t at = sv_chr(user, '@');

	if (sv_eq(user, name))
		return true;
	if (at < user.len && sv_eq((struct sv){ user.p, at }, name) && sv_ieq(sv_skip(user, at + 1), host))
		return true; /* many a telephone is called by its whole address */
	while (rest.len) {
		size_t comma = sv_chr(rest, ',');

		if (sv_eq(sv_trim((struct sv){ rest.p, comma }), name))
			return true;
		rest = sv_skip(rest, comma + 1);
	}
	return false;
}
