/* sip/scan_fast.c - the scanner of every message. */
#include "sip/scan.h"

int view_scan(struct view *v, const char *p, size_t len, bool is_stream, struct view_fault *fault)
{
	return view_scan_plain(v, p, len, is_stream, fault);
}
