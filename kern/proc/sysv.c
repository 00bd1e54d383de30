/*
 * System V IPC: the part that its three kinds have in common. See sysv.h.
 */
#include <asm/errno.h>
#include <linux/capability.h>

#include "sysv.h"

#define WORD_BITS    64
#define SEQUENCE_MOD (INT32_MAX / SYSV_PLACES + 1) /* identifiers are not negative */
#define NS_PER_S     1000000000l
#define NOBODY       UINT32_MAX /* no user and no group has this number */

static int place_of(const struct sysv_object *object)
{
	return object->id % SYSV_PLACES;
}

static int compare_places(const struct sysv_object *left, const struct sysv_object *right)
{
	return place_of(left) - place_of(right);
}

static int compare_keys(const struct sysv_object *left, const struct sysv_object *right)
{
	return left->key < right->key ? -1 : left->key > right->key;
}

RB_GENERATE_STATIC(sysv_places, sysv_object, place_link, compare_places)
RB_GENERATE_STATIC(sysv_keys, sysv_object, key_link, compare_keys)

void sysv_init(struct sysv_table *table, const char *name, int limit)
{
	mutex_init(&table->lock, RANK_INODE, name);
	RB_INIT(&table->by_place);
	RB_INIT(&table->by_key);
	table->limit = limit;
	table->next_id = -1;
}

int64_t sysv_now(void)
{
	return ((int64_t)time_nanoseconds() + time_realtime_offset()) / NS_PER_S;
}

/* ---- Places -------------------------------------------------------------------------------------------------- */

/* The lowest free place from `from` on; SYSV_PLACES: none. */
static unsigned free_place(const struct sysv_table *table, unsigned from)
{
	for (unsigned word = from / WORD_BITS; word < SYSV_PLACES / WORD_BITS; word++) {
		uint64_t free = ~table->used[word];

		if (word == from / WORD_BITS)
			free &= ~(uint64_t)0 << from % WORD_BITS;
		if (free)
			return word * WORD_BITS + (unsigned)__builtin_ctzl(free);
	}
	return SYSV_PLACES;
}

/* As Linux: numbers that have been used come again late. -1: no place is free. */
static int new_id(struct sysv_table *table)
{
	int asked = table->next_id;
	unsigned wanted = asked < 0 ? 0 : (unsigned)asked;
	unsigned place = free_place(table, wanted % SYSV_PLACES);

	if (place == SYSV_PLACES)
		return -1;
	if (asked >= 0)
		table->sequence = wanted / SYSV_PLACES;
	else if (place <= table->last_place && table->sequence + 1 < SEQUENCE_MOD)
		table->sequence++;
	else if (place <= table->last_place)
		table->sequence = 0;
	table->next_id = -1;
	table->last_place = place;
	return (int)(table->sequence * SYSV_PLACES + place);
}

int sysv_enter(struct sysv_table *table, struct sysv_object *object, const struct task *task,
	       __kernel_key_t key, unsigned mode)
{
	const struct credentials *ids = &task->process->credentials;
	int id = (int)table->count < table->limit ? new_id(table) : -1;

	ASSERT(mutex_held(&table->lock));
	if (id < 0)
		return -ENOSPC;
	object->id = id;
	object->key = key;
	object->mode = mode & SYSV_MODE_BITS;
	object->uid = object->cuid = ids->user.effective;
	object->gid = object->cgid = ids->group.effective;
	object->changed = sysv_now();
	table->count++;
	table->used[place_of(object) / WORD_BITS] |= (uint64_t)1 << place_of(object) % WORD_BITS;
	RB_INSERT(sysv_places, &table->by_place, object);
	if (key != IPC_PRIVATE)
		RB_INSERT(sysv_keys, &table->by_key, object);
	return 0;
}

void sysv_forget_key(struct sysv_table *table, struct sysv_object *object)
{
	if (object->key != IPC_PRIVATE)
		RB_REMOVE(sysv_keys, &table->by_key, object);
	object->key = IPC_PRIVATE;
}

void sysv_leave(struct sysv_table *table, struct sysv_object *object)
{
	ASSERT(mutex_held(&table->lock));
	sysv_forget_key(table, object);
	RB_REMOVE(sysv_places, &table->by_place, object);
	table->used[place_of(object) / WORD_BITS] &= ~((uint64_t)1 << place_of(object) % WORD_BITS);
	table->count--;
}

/* ---- Looking up ----------------------------------------------------------------------------------------------- */

struct sysv_object *sysv_at(struct sysv_table *table, int place)
{
	const struct sysv_object wanted = {.id = place % SYSV_PLACES};

	if (place < 0)
		return NULL;
	return RB_FIND(sysv_places, &table->by_place, (struct sysv_object *)&wanted);
}

struct sysv_object *sysv_find(struct sysv_table *table, int id)
{
	struct sysv_object *object = sysv_at(table, id);

	return object && object->id == id ? object : NULL;
}

struct sysv_object *sysv_from(struct sysv_table *table, int place)
{
	const struct sysv_object wanted = {.id = place};

	/* Who goes through all asks for the place after the last one. */
	if (place >= SYSV_PLACES)
		return NULL;
	return RB_NFIND(sysv_places, &table->by_place, (struct sysv_object *)&wanted);
}

int sysv_highest(struct sysv_table *table)
{
	const struct sysv_object *last = RB_MAX(sysv_places, &table->by_place);

	return last ? place_of(last) : 0;
}

int sysv_get(struct sysv_table *table, __kernel_key_t key, unsigned flags, struct sysv_object **out)
{
	const struct sysv_object wanted = {.key = key};

	*out = NULL;
	if (key == IPC_PRIVATE)
		return 0;
	*out = RB_FIND(sysv_keys, &table->by_key, (struct sysv_object *)&wanted);
	if (!*out)
		return flags & IPC_CREAT ? 0 : -ENOENT;
	return (flags & IPC_CREAT) && (flags & IPC_EXCL) ? -EEXIST : 0;
}

/* ---- Rights ------------------------------------------------------------------------------------------------------ */

bool sysv_permitted(const struct task *task, const struct sysv_object *object, unsigned want)
{
	const struct credentials *ids = &task->process->credentials;
	unsigned have = object->mode;

	if (ids->user.effective == object->uid || ids->user.effective == object->cuid)
		have >>= 6;
	else if (credentials_in_group(ids, object->gid) || credentials_in_group(ids, object->cgid))
		have >>= 3;
	want |= want >> 3 | want >> 6;
	return (want & ~have & 07) == 0 || task_capable(task, CAP_IPC_OWNER);
}

bool sysv_is_owner(const struct task *task, const struct sysv_object *object)
{
	uint32_t user = task->process->credentials.user.effective;

	return user == object->uid || user == object->cuid || task_capable(task, CAP_SYS_ADMIN);
}

struct ipc64_perm sysv_describe(const struct sysv_object *object)
{
	return (struct ipc64_perm){
		.key = object->key,
		.uid = object->uid,
		.gid = object->gid,
		.cuid = object->cuid,
		.cgid = object->cgid,
		.mode = object->mode,
		.seq = (unsigned short)(object->id / SYSV_PLACES),
	};
}

int sysv_set(struct sysv_object *object, const struct ipc64_perm *wanted)
{
	if (wanted->uid == NOBODY || wanted->gid == NOBODY)
		return -EINVAL;
	object->uid = wanted->uid;
	object->gid = wanted->gid;
	object->mode = (object->mode & ~SYSV_MODE_BITS) | (wanted->mode & SYSV_MODE_BITS);
	object->changed = sysv_now();
	return 0;
}
