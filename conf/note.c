/* conf/note.c - problems found in a file, each with its place. */
#include <stdlib.h>
#include "conf/reader.h"

void conf_notes_init(struct conf_notes *n)
{
	*n = (struct conf_notes){ 0 };
	list_init(&n->list);
}

void conf_notes_fini(struct conf_notes *n)
{
	list_each_safe(it, &n->list) {
		struct conf_note *note = owner_of(it, struct conf_note, in_list);

		list_del(it);
		free(note);
	}
	n->errors = n->warnings = 0;
}

/* The note and both its texts are one allocation. */
void notes_add(struct conf_notes *notes, bool is_error, struct conf_mark at, const char *path, const char *text)
{
	size_t path_len = strlen(path) + 1, text_len = strlen(text) + 1;
	struct conf_note *note;

	if (is_error)
		notes->errors++;
	else
		notes->warnings++;
	if (notes->errors + notes->warnings > CONF_NOTES_MAX)
		return;
	note = malloc(sizeof(*note) + path_len + text_len);
	if (!note) {
		notes->out_of_memory = true;
		return;
	}
	note->is_error = is_error;
	note->line = at.line;
	note->col = at.col;
	note->path = (char *)(note + 1);
	note->text = note->path + path_len;
	memcpy(note->path, path, path_len);
	memcpy(note->text, text, text_len);
	list_push(&notes->list, &note->in_list);
}

static bool is_before(const struct conf_note *a, const struct conf_note *b)
{
	return a->line != b->line ? a->line < b->line : a->col < b->col;
}

/* Insertion sort by place, stable: notes come nearly in order, and there are at most CONF_NOTES_MAX. */
void notes_sort(struct conf_notes *notes)
{
	struct node sorted;

	list_init(&sorted);
	list_each_safe(it, &notes->list) {
		struct conf_note *note = owner_of(it, struct conf_note, in_list);
		struct node *behind = sorted.prev;

		list_del(it);
		while (behind != &sorted && is_before(note, owner_of(behind, struct conf_note, in_list)))
			behind = behind->prev;
		list_push_front(behind, it);
	}
	list_each_safe(it, &sorted) {
		list_del(it);
		list_push(&notes->list, it);
	}
}

int conf_note_format(const struct conf_note *n, const char *file, char *buf, size_t size)
{
	const char *colon = n->path[0] ? ": " : "", *kind = n->is_error ? "" : "warning: ";

	if (n->line == 0)
		return snprintf(buf, size, "%s: %s%s%s%s", file, kind, n->path, colon, n->text);
	return snprintf(buf, size, "%s:%u:%u: %s%s%s%s", file, n->line, n->col, kind, n->path, colon, n->text);
}

void conf_note_print(FILE *to, const char *file, const struct conf_note *n)
{
	char line[2048];

	conf_note_format(n, file, line, sizeof(line));
	fprintf(to, "%s\n", line);
}

const char *printable(struct sv v, char buf[72])
{
	size_t n = v.len < 64 ? v.len : 64;

	for (size_t i = 0; i < n; i++)
		buf[i] = (unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f ? '?' : v.p[i];
	strcpy(buf + n, v.len > 64 ? "..." : "");
	return buf;
}
