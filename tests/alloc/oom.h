/* tests/alloc/oom.h - memory that runs out on purpose. The linker sends every allocation of the libraries under test through here
 * (-Wl,--wrap, see CMakeLists.txt); the tests' own parts are compiled past it. */
#ifndef TESTS_ALLOC_OOM_H
#define TESTS_ALLOC_OOM_H
#include <stdbool.h>
#include <stddef.h>

/* From now on allocation number `first` (1, 2 ...) fails and so do the `more` that follow it. */
void oom_arm(unsigned long first, unsigned long more);
/* Memory is back. True when an allocation failed since oom_arm. */
bool oom_disarm(void);
/* Where the first of them was, for addr2line. */
void oom_show(void);
/* While paused, nothing counts and nothing fails: calls nest. */
void oom_pause(void);
void oom_resume(void);
/* Allocations of the libraries that were not freed, and all that were asked for since the start. */
long oom_live(void);
unsigned long oom_asked(void);

#endif
