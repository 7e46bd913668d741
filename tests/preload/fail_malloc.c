/*
 * For LD_PRELOAD: the n-th allocation of the process fails, and with it every
 * one for as long as FAIL_MALLOC_COUNT says.
 *
 *	FAIL_MALLOC_AT      which one, from 1 on; 0 or not set: none
 *	FAIL_MALLOC_COUNT   how many, 1 if not set
 *	FAIL_MALLOC_REPORT  a file that gets the number of allocations, when the
 *	                    process ends by exit(3), and a byte 'F' before, when
 *	                    one has failed
 *
 * The allocator of glibc itself is behind these names. It is called before any
 * constructor has run, so everything is read from the environment at first use.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static struct {
	bool begun;
	uint64_t first;
	uint64_t last; /* behind it */
	uint64_t calls;
	int report;
} state = { .report = -1 };

static uint64_t
number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void
begin(void)
{
	const char *path = getenv("FAIL_MALLOC_REPORT");

	state.begun = true;
	state.first = number("FAIL_MALLOC_AT", 0);
	state.last = state.first + number("FAIL_MALLOC_COUNT", 1);
	if (path != NULL)
		state.report =
		    open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static bool
fails(void)
{
	uint64_t call = ++state.calls;

	if (!state.begun)
		begin();
	if (state.first == 0 || call < state.first || call >= state.last)
		return false;
	if (call == state.first && state.report >= 0)
		(void)!write(state.report, "F", 1);
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *memory, size_t size)
{
	return fails() ? NULL : __libc_realloc(memory, size);
}

__attribute__((destructor)) static void
end(void)
{
	if (state.report >= 0)
		dprintf(
		    state.report, "%llu\n", (unsigned long long)state.calls);
}
