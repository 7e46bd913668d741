/* The disks of a node: one of the log, and one for each generation of data. */

#include "tests/sim/sim_disk.h"

#include "common/panic.h"
#include "tests/sim/sim_node.h"

void
sim_disks_init(struct sim_disks *disks)
{
	*disks = (struct sim_disks){
		.log = store_mem_disk_new(NODE_LOG_TABLES_COUNT),
	};
}

void
sim_disks_release(struct sim_disks *disks)
{
	store_mem_disk_free(disks->log);
	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++)
		store_mem_disk_free(disks->data[i].disk);
	*disks = (struct sim_disks){ 0 };
}

void
sim_disks_clone(const struct sim_disks *disks, struct sim_disks *ret_copy)
{
	*ret_copy = (struct sim_disks){
		.log = store_mem_disk_clone(disks->log),
	};
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
	disks->faulty = NULL;
	disks->room = 0;
	make_room(disks);
}

/* ---- Generations ---- */

/* A dropped disk cannot fail any more; its commits have taken their time. */
static void
drop(struct sim_disks *disks, struct sim_data_disk *data)
{
	if (data->disk == NULL)
		return;
	disks->commits_dropped += store_mem_commits_count(data->disk);
	if (disks->faulty == data->disk)
		disks->faulty = NULL;
	store_mem_disk_free(data->disk);
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

struct store *
sim_disks_open_data(struct sim_disks *disks, uint64_t generation, bool empty)
{
	struct sim_data_disk *data = find(disks, generation);

	if (empty) {
		drop(disks, data);
		data->generation = generation;
	}
	if (data->disk == NULL)
		data->disk = store_mem_disk_new(KV_TABLES_COUNT);
	if (empty && disks->room != 0)
		store_mem_set_capacity(data->disk, disks->room);
	disks->room = empty ? 0 : disks->room;
	return store_mem_open(data->disk);
}

void
sim_disks_remove_data_but(struct sim_disks *disks, uint64_t generation)
{
	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++) {
		if (disks->data[i].generation != generation)
			drop(disks, &disks->data[i]);
	}
	make_room(disks);
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

	if (disks->faulty != NULL || disk == NULL)
		return;
	store_mem_seed(disk, seed);
	store_mem_fail_operation(disk, n, code);
	disks->faulty = disk;
	disks->faulty_operation = store_mem_operations_count(disk) + n;
	disks->faulty_code = code;
}

bool
sim_disks_failed(const struct sim_disks *disks)
{
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
