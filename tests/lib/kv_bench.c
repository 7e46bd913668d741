#include "tests/lib/kv_bench.h"

#include "common/macros.h"
#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

void
kv_bench_init(struct kv_bench *bench)
{
	*bench = (struct kv_bench){ 0 };
	bench->disk = store_mem_disk_new(KV_TABLES_COUNT);
	if (kv_bench_open(bench) != 0)
		fatal("an empty disk does not open");
}

void
kv_bench_release(struct kv_bench *bench)
{
	kv_bench_close(bench);
	store_mem_disk_free(bench->disk);
	for (size_t i = 0; i < bench->log_count; i++)
		buf_release(&bench->log[i]);
	free(bench->log);
	free(bench->times_us);
}

void
kv_bench_close(struct kv_bench *bench)
{
	kv_close(bench->kv);
	store_close(bench->store);
	bench->kv = NULL;
	bench->store = NULL;
}

int
kv_bench_open(struct kv_bench *bench)
{
	int code;

	bench->store = store_mem_open(bench->disk);
	code = kv_open(bench->store, true, &bench->kv);
	if (code != 0)
		kv_bench_close(bench);
	return code;
}

/* Doubled: a sanitizer moves the whole of it with every realloc. */
static void
make_room(struct kv_bench *bench)
{
	if (bench->log_count < bench->log_capacity)
		return;
	bench->log_capacity = MAX(2 * bench->log_capacity, 16);
	bench->log =
	    mem_realloc(bench->log, bench->log_capacity, sizeof(*bench->log));
	bench->times_us = mem_realloc(
	    bench->times_us, bench->log_capacity, sizeof(*bench->times_us));
}

struct buf *
kv_bench_log_entry(struct kv_bench *bench)
{
	struct buf *entry;

	make_room(bench);
	entry = &bench->log[bench->log_count];
	*entry = (struct buf){ 0 };
	bench->times_us[bench->log_count] = (bench->log_count + 1) * 1000;
	bench->log_count++;
	return entry;
}

void
kv_bench_log_put(struct kv_bench *bench, struct slice key, struct slice value)
{
	kv_encode_put(kv_bench_log_entry(bench), key, value);
}

void
kv_bench_log_delete(struct kv_bench *bench, struct slice key)
{
	kv_encode_delete(kv_bench_log_entry(bench), key);
}

void
kv_bench_log_skip(struct kv_bench *bench)
{
	(void)kv_bench_log_entry(bench); /* stays empty */
}

void
kv_bench_log_command(
    struct kv_bench *bench, uint64_t cluster_time_us, struct slice command)
{
	buf_append_slice(kv_bench_log_entry(bench), command);
	bench->times_us[bench->log_count - 1] = cluster_time_us;
}

int
kv_bench_replay(struct kv_bench *bench)
{
	for (uint64_t i = kv_applied_index(bench->kv); i < bench->log_count;
	     i++) {
		const struct buf *command = &bench->log[i];
		int code;

		if (command->size == 0)
			code = kv_skip(bench->kv, i + 1);
		else
			code = kv_apply(bench->kv, i + 1, bench->times_us[i],
			    buf_slice(command), &bench->result);
		if (code != 0)
			return code;
	}
	return 0;
}

unsigned
kv_bench_outputs_count(const struct kv_bench *bench)
{
	struct slice outputs = bench->result.outputs;
	struct kv_output output;
	unsigned count = 0;
	int code;

	while ((code = kv_output_next(&outputs, &output)) == 0)
		count++;
	if (code != ERR_NOT_FOUND)
		fatal("outputs that cannot be read");
	return count;
}

struct kv_output
kv_bench_output(const struct kv_bench *bench, unsigned n)
{
	struct slice outputs = bench->result.outputs;
	struct kv_output output;

	for (unsigned i = 0; i <= n; i++)
		if (kv_output_next(&outputs, &output) != 0)
			fatal("no output %u", n);
	return output;
}
