/* The disks of a node: one of the log, and one for each generation of data. */

#include "tests/sim/sim_disk.h"

#include "common/panic.h"
#include "tests/sim/sim_media.h"
#include "tests/sim/sim_node.h"

/* A new log takes about so many calls that change something. */
#define FIRST_CALLS 30
/* Each table takes a page at least. */
#define FILE_BYTES_FOR_BYTE 64

/* When nothing is durable yet, not even that there is a file. */
static void
break_first_start(struct sim_disks *disks)
{
	struct rng *rng = &disks->sim->rng[SIM_RNG_FILES];

	if (disks->sim->config.fault_mean[SIM_FAULT_DISK_ERROR] != 0 &&
	    rng_below(rng, 4) == 0)
		sim_disks_break(disks, true, rng_next(rng),
		    rng_between(rng, 1, FIRST_CALLS), ERR_IO);
}

void
sim_disks_init(struct sim_disks *disks, struct sim *sim)
{
	*disks = (struct sim_disks){
		.sim = sim,
		.log = store_mem_disk_new(NODE_LOG_TABLES_COUNT),
	};
	if (sim->config.options.disks != SIM_DISKS_MEMORY)
		disks->files = sim_media.files->make(&sim->rng[SIM_RNG_FILES],
		    sim->config.options.disks == SIM_DISKS_LYING);
	if (disks->files != NULL)
		break_first_start(disks);
}

void
sim_disks_release(struct sim_disks *disks)
{
	store_mem_disk_free(disks->log);
	store_twin_release(&disks->log_notes);
	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++) {
		store_mem_disk_free(disks->data[i].disk);
		store_twin_release(&disks->data[i].notes);
	}
	if (disks->files != NULL)
		sim_media.files->drop(disks->files);
	*disks = (struct sim_disks){ 0 };
}

void
sim_disks_clone(const struct sim_disks *disks, struct sim_disks *ret_copy)
{
	*ret_copy = (struct sim_disks){
		.sim = disks->sim,
		.log = store_mem_disk_clone(disks->log),
	};
	if (disks->files != NULL)
		ret_copy->files =
		    sim_media.files->image(disks->files, DISK_MODEL_NONE, 0);
	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++) {
		const struct sim_data_disk *data = &disks->data[i];

		ret_copy->data[i].generation = data->generation;
		if (data->disk != NULL)
			ret_copy->data[i].disk =
			    store_mem_disk_clone(data->disk);
	}
}

/* What found no room is gone, or has come to its end. */
static void
make_room(struct sim_disks *disks)
{
	if (disks->files != NULL)
		sim_media.files->set_room(disks->files, 0, 0);
	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++) {
		if (disks->data[i].disk != NULL)
			store_mem_set_capacity(disks->data[i].disk, UINT64_MAX);
	}
}

void
sim_disks_mend(struct sim_disks *disks)
{
	store_mem_fail_operation(disks->log, 0, 0);
	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++) {
		if (disks->data[i].disk != NULL)
			store_mem_fail_operation(disks->data[i].disk, 0, 0);
	}
	if (disks->files != NULL)
		sim_media.files->break_call(disks->files, NULL);
	disks->faulty = NULL;
	disks->room = 0;
	make_room(disks);
}

/* ---- The log ---- */

int
sim_disks_open_log(
    struct sim_disks *disks, struct store **ret_store, char *why, size_t size)
{
	if (disks->files != NULL)
		return sim_disks_open_log_files(disks, ret_store, why, size);
	*ret_store = store_mem_open(disks->log);
	return 0;
}

/* ---- Generations ---- */

/* A dropped disk cannot fail any more; its commits have taken their time. */
static void
drop(struct sim_disks *disks, struct sim_data_disk *data)
{
	if (data->disk == NULL)
		return;
	disks->commits_dropped += store_mem_commits_count(data->disk);
	if (disks->faulty == data->disk) {
		disks->faulty = NULL;
		if (disks->files != NULL)
			sim_media.files->break_call(disks->files, NULL);
	}
	store_mem_disk_free(data->disk);
	store_twin_release(&data->notes);
	*data = (struct sim_data_disk){ 0 };
}

static struct sim_data_disk *
find(struct sim_disks *disks, uint64_t generation)
{
	struct sim_data_disk *unused = NULL;

	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++) {
		struct sim_data_disk *data = &disks->data[i];

		if (data->disk != NULL && data->generation == generation)
			return data;
		if (data->disk == NULL)
			unused = data;
	}
	ASSERT(unused != NULL);
	unused->generation = generation;
	return unused;
}

/* From changes that go to their table at once to some that hardly ever do. */
static uint64_t
memtable_bytes(const struct sim *sim)
{
	static const uint64_t bytes[] = { 1, 500, 4000, 30000, 1000000 };

	return bytes[sim->config.seed % ARRAY_COUNT(bytes)];
}

/* With real files the memtable is behind the call, and `disk` shows what it is
 * to show. */
int
sim_disks_open_data(struct sim_disks *disks, uint64_t generation, bool empty,
    struct store **ret_store)
{
	struct sim_data_disk *data = find(disks, generation);

	if (empty) {
		drop(disks, data);
		data->generation = generation;
	}
	if (data->disk == NULL)
		data->disk = store_mem_disk_new(disks->files != NULL
						    ? KV_TABLES_COUNT
						    : KV_DISK_TABLES_COUNT);
	if (empty && disks->room != 0) {
		if (disks->files == NULL)
			store_mem_set_capacity(data->disk, disks->room);
		else
			sim_media.files->set_room(disks->files, generation,
			    disks->room * FILE_BYTES_FOR_BYTE);
	}
	disks->room = empty ? 0 : disks->room;
	if (disks->files != NULL)
		return sim_disks_open_data_files(disks, data, empty, ret_store);
	return kv_store_open(
	    store_mem_open(data->disk), memtable_bytes(disks->sim), ret_store);
}

int
sim_disks_remove_data_but(struct sim_disks *disks, uint64_t generation)
{
	int error = 0;

	if (disks->files != NULL)
		error =
		    sim_media.files->remove_data_but(disks->files, generation);
	if (error != 0)
		return error;
	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++) {
		if (disks->data[i].generation != generation)
			drop(disks, &disks->data[i]);
	}
	make_room(disks);
	return 0;
}

uint64_t
sim_disks_commits_count(const struct sim_disks *disks)
{
	uint64_t count =
	    disks->commits_dropped + store_mem_commits_count(disks->log);

	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++) {
		if (disks->data[i].disk != NULL)
			count += store_mem_commits_count(disks->data[i].disk);
	}
	return count;
}

/* ---- Faults ---- */

static const struct sim_data_disk *
newest_of(const struct sim_disks *disks)
{
	const struct sim_data_disk *newest = NULL;

	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++) {
		const struct sim_data_disk *data = &disks->data[i];

		if (data->disk != NULL &&
		    (newest == NULL || data->generation > newest->generation))
			newest = data;
	}
	return newest;
}

struct store_mem_disk *
sim_disks_data(const struct sim_disks *disks)
{
	const struct sim_data_disk *newest = newest_of(disks);

	return newest == NULL ? NULL : newest->disk;
}

uint64_t
sim_disks_data_generation(const struct sim_disks *disks)
{
	const struct sim_data_disk *newest = newest_of(disks);

	return newest == NULL ? 0 : newest->generation;
}

bool
sim_disks_put_back_data(struct sim_disks *disks,
    const struct store_mem_disk *past, uint64_t generation)
{
	struct sim_data_disk *data;

	if (past == NULL || newest_of(disks) == NULL ||
	    sim_disks_data_generation(disks) != generation)
		return false;
	data = find(disks, generation);
	drop(disks, data);
	data->generation = generation;
	data->disk = store_mem_disk_clone(past);
	return true;
}

void
sim_disks_break(
    struct sim_disks *disks, bool log, uint64_t seed, uint64_t n, int code)
{
	struct store_mem_disk *disk = log ? disks->log : sim_disks_data(disks);

	const struct sim_break broken = {
		.log = log,
		.generation = sim_disks_data_generation(disks),
		.n = n,
		.code = code,
		.fault = (unsigned)(seed >> 8 & 0xff),
		.is_last = seed % 2 == 0,
		.only_syncs = (seed >> 16 & 1) != 0,
	};

	if (disks->faulty != NULL || disk == NULL)
		return;
	if (disks->files != NULL) {
		sim_media.files->break_call(disks->files, &broken);
	} else {
		store_mem_seed(disk, seed);
		store_mem_fail_operation(disk, n, code);
	}
	disks->faulty = disk;
	disks->faulty_operation = store_mem_operations_count(disk) + n;
	disks->faulty_code = code;
	disks->faulty_is_last = broken.is_last;
}

bool
sim_disks_failed(const struct sim_disks *disks)
{
	if (disks->files != NULL)
		return sim_media.files->has_failed(disks->files);
	return disks->faulty != NULL &&
	       store_mem_operations_count(disks->faulty) >=
		   disks->faulty_operation;
}

bool
sim_disks_are_full(const struct sim_disks *disks, uint64_t generation)
{
	if (disks->faulty_code != ERR_NO_SPACE)
		return false;
	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++) {
		const struct sim_data_disk *data = &disks->data[i];

		if (data->disk != NULL && data->disk == disks->faulty)
			return data->generation > generation;
	}
	return false;
}
