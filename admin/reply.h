/* admin/reply.h - an answer being put together, and how it is written. Private to admin/. */
#ifndef ADMIN_REPLY_H
#define ADMIN_REPLY_H
#include "admin/ctl.h"
#include "admin/text.h"
#include "base/list.h"

struct conn;

struct ctl_reply {
	struct node in_ctl;
	struct conn *conn;              /* NULL: nobody waits for it */
	const char *verb, *usage;
	char actor[32];
	bool is_json, may_wait, has_table, has_text;
	unsigned n_columns;
	const char *column[CTL_COLUMNS_MAX];
	struct text rows;               /* struct stored, each followed by its string */
	size_t n_rows, rows_left_out;
	struct text text, notes, error;
	int exit_code;
	void (*on_gone)(void *ctx, struct ctl_reply *r);
	void *gone_ctx;
};

struct ctl_reply *reply_new(bool is_json);
void reply_free(struct ctl_reply *r);
/* Adds the frames of the finished answer. out->err when even the shortest did not fit. */
void reply_render(struct ctl_reply *r, struct text *out);
/* One frame. */
void frame_add(struct text *out, char kind, struct sv bytes);
/* Frames of an answer that is an error line alone. */
void frames_error(struct text *out, int exit_code, struct sv line);

#endif
