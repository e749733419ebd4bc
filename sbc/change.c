#include "sbc/change.h"
#include "admin/ctl.h"
#include <errno.h>
#include <stdio.h>

/* What happened --------------------------------------------------------------------------------------------------- */

struct telling {
	struct ctl_reply *reply;
	unsigned n[FATE_LEAVING + 1], lines;
};

static void tell_one(void *ctx, enum conf_fate fate, struct sv pool, struct sv name, const char *what)
{
	struct telling *t = ctx;
	char line[800];

	t->n[fate]++;
	if (t->lines++ >= CHANGE_LINES_MAX)
		return;
	snprintf(line, sizeof(line), "%.*s/%.*s: %s%s%s%s\n", SV_ARG(pool), SV_ARG(name), conf_fate_word(fate), *what ? ": " : "", what,
	         fate == FATE_LEAVING ? ": no new calls, and gone with its last one" : "");
	ctl_text(t->reply, sv_from(line));
}

void change_tell(struct ctl_reply *r, const struct conf *was, const struct conf *is)
{
	struct telling t = { .reply = r };

	conf_compare(was, is, tell_one, &t);
	ctl_note(r, "destinations: %u kept, %u changed, %u added, %u removed, %u leaving", t.n[FATE_KEPT], t.n[FATE_CHANGED],
	         t.n[FATE_ADDED], t.n[FATE_REMOVED], t.n[FATE_LEAVING]);
}

static void say_note(struct ctl_reply *r, const char *file, const struct conf_note *note)
{
	char line[1024];

	conf_note_format(note, file, line, sizeof(line));
	ctl_text(r, sv_from(line));
	ctl_text(r, SV("\n"));
}

void change_say_notes(struct ctl_reply *r, const char *file, const struct conf_notes *notes)
{
	list_each(n, &notes->list)
		say_note(r, file, owner_of(n, struct conf_note, in_list));
}

static void say_errors(struct ctl_reply *r, struct sv file, const struct conf_notes *notes)
{
	char name[1024];

	snprintf(name, sizeof(name), "%.*s", SV_ARG(file));
	list_each(n, &notes->list)
		if (owner_of(n, struct conf_note, in_list)->is_error)
			say_note(r, name, owner_of(n, struct conf_note, in_list));
}

/* Only what is not as before: kept ones are many. */
static void tell_changed(void *ctx, enum conf_fate fate, struct sv pool, struct sv name, const char *what)
{
	if (fate != FATE_KEPT)
		tell_one(ctx, fate, pool, name, what);
}

/* Verbs ----------------------------------------------------------------------------------------------------------- */

static void finish(struct change *c, struct ctl_reply *r, const char *who, int err, const struct conf *was,
                   const struct conf_notes *notes)
{
	struct telling t = { .reply = r };

	if (err && err != -EROFS) {
		say_errors(r, c->publisher->now->file, notes);
		ctl_exit_code(r, CTL_FAILED);
		ctl_note(r, "%s: nothing is changed: %s", who, err == -EINVAL ? "see above" :
		         err == -EBUSY ? "workers still hold the last configurations; try again" : strerror(-err));
		ctl_done(r);
		return;
	}
	conf_compare(was, c->publisher->now, tell_changed, &t);
	if (err)
		ctl_note(r, "not written to the state directory: a restart forgets it");
	ctl_note(r, "%s: done, generation %lu", who, (unsigned long)c->publisher->now->gen);
	ctl_done(r);
}

/* An error of whoever asked: exit code 2. False: it was none. */
static bool is_refused(struct ctl_reply *r, const char *what, const char *who, int err, const char *hint)
{
	if (err == -ENOENT)
		ctl_fail(r, CTL_USAGE, *hint ? "no %s %s; the nearest name is %s" : "no %s %s%s", what, who, hint);
	else if (err == -EEXIST)
		ctl_fail(r, CTL_USAGE, "%s is there already", who);
	else if (err == -ENOTSUP)
		ctl_fail(r, CTL_USAGE, "%s is one address of a name: drain it, or change the name", who);
	else
		return false;
	return true;
}

static bool read_weight(struct ctl_reply *r, const char *word, unsigned *weight)
{
	uint64_t n;

	if (sv_u64(sv_from(word), 1000, &n)) {
		ctl_fail(r, CTL_USAGE, "%s is no weight: write 0 to 1000", word);
		return false;
	}
	*weight = (unsigned)n;
	return true;
}

static void verb_add(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	struct change *c = ctx;
	const struct conf *was = c->publisher->now;
	char hint[128], who[2 * CONF_NAME_MAX + 2];
	struct conf_notes notes;
	unsigned weight = 1;
	int err;

	if (argc < 4 || argc > 5) {
		ctl_fail_usage(r);
		return;
	}
	if (argc == 5 && !read_weight(r, argv[4], &weight))
		return;
	snprintf(who, sizeof(who), "%s/%s", argv[1], argv[2]);
	conf_notes_init(&notes);
	err = live_add(c->live, sv_from(argv[1]), sv_from(argv[2]), sv_from(argv[3]), weight, &notes, hint);
	if (!is_refused(r, "pool", err == -ENOENT ? argv[1] : who, err, hint))
		finish(c, r, who, err, was, &notes);
	conf_notes_fini(&notes);
}

/* What takes nothing but a name. */
static void by_name(struct change *c, struct ctl_reply *r, int argc, char **argv, const char *what,
                    int (*change)(struct live *l, struct sv name, struct conf_notes *notes, char hint[128]))
{
	const struct conf *was = c->publisher->now;
	struct conf_notes notes;
	char hint[128];
	int err;

	if (argc != 2) {
		ctl_fail_usage(r);
		return;
	}
	conf_notes_init(&notes);
	err = change(c->live, sv_from(argv[1]), &notes, hint);
	if (!is_refused(r, what, argv[1], err, hint))
		finish(c, r, argv[1], err, was, &notes);
	conf_notes_fini(&notes);
}

static void verb_remove(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	by_name(ctx, r, argc, argv, "destination", live_remove);
}

static void verb_forget(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	by_name(ctx, r, argc, argv, "change of", live_forget);
}

static void verb_weight(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	struct change *c = ctx;
	const struct conf *was = c->publisher->now;
	struct conf_notes notes;
	char hint[128];
	unsigned weight;
	int err;

	if (argc != 3) {
		ctl_fail_usage(r);
		return;
	}
	if (!read_weight(r, argv[2], &weight))
		return;
	conf_notes_init(&notes);
	err = live_weigh(c->live, sv_from(argv[1]), weight, &notes, hint);
	if (!is_refused(r, "destination", argv[1], err, hint))
		finish(c, r, argv[1], err, was, &notes);
	conf_notes_fini(&notes);
}

static void verb_changes(void *ctx, struct ctl_reply *r, int argc, char **argv)
{
	static const char *const kinds[] = { [CHANGE_ADD] = "added", [CHANGE_REMOVE] = "removed", [CHANGE_WEIGHT] = "weight" };
	const struct conf_live *live = &((struct change *)ctx)->publisher->live;

	(void)argv;
	if (argc != 1) {
		ctl_fail_usage(r);
		return;
	}
	ctl_columns(r, 5, "pool", "name", "change", "weight", "uri");
	for (unsigned i = 0; i < live->n_changes; i++) {
		const struct conf_change *one = &live->changes[i];

		ctl_row(r, cell_str(one->who.pool), cell_str(one->who.name), cell_str(kinds[one->kind]),
		        one->kind == CHANGE_REMOVE ? cell_none() : cell_u64(one->weight), *one->uri ? cell_str(one->uri) : cell_none());
	}
	ctl_done(r);
}

int change_verbs(struct ctl *ctl, struct change *c)
{
	static const struct {
		const char *verb, *usage, *help;
		ctl_handler *handler;
	} all[] = {
		{ "add", "POOL NAME URI [WEIGHT]", "one more destination, over restarts", verb_add },
		{ "remove", "POOL/NAME", "takes a destination away, over restarts; its calls go on", verb_remove },
		{ "weight", "POOL/NAME WEIGHT", "another weight, over restarts", verb_weight },
		{ "forget", "POOL/NAME", "drops what was changed by add, remove and weight: as the file says again", verb_forget },
		{ "changes", "", "what add, remove and weight have changed", verb_changes },
	};
	int err = 0;

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all) && !err; i++)
		err = ctl_register(ctl, all[i].verb, all[i].usage, all[i].help, all[i].handler, c);
	return err;
}
