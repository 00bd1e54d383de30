/*
 * System V semaphores: semget and semctl. What semop does, and what waits, is in sem_operations.c.
 */
#include <asm/errno.h>
#include <kern/message.h>
#include <vm/page.h>
#include <vm/slab.h>
#include <vm/vm.h>

#include "sem.h"

#define SMALL_BYTES  128
#define MIDDLE_BYTES 512

struct sysv_table sem_table;
static struct slab_cache set_cache, small_cache, middle_cache;
static uint64_t all_semaphores; /* guarded by the table's lock */

void sem_init(void)
{
	sysv_init(&sem_table, "semaphore sets", SEMMNI);
	slab_cache_init(&set_cache, "semaphore set", sizeof(struct sem_set));
	slab_cache_init(&small_cache, "few semaphores", SMALL_BYTES);
	slab_cache_init(&middle_cache, "semaphores", MIDDLE_BYTES);
	sem_operations_init();
}

/* Most sets, and what is taken back of them, are small: objects of two sizes, a page, or more. */
void *sem_alloc(size_t bytes)
{
	void *memory = NULL;
	struct page *page;

	if (!ipc_charge(bytes))
		return NULL;
	if (bytes <= SMALL_BYTES) {
		memory = slab_alloc(&small_cache);
	} else if (bytes <= MIDDLE_BYTES) {
		memory = slab_alloc(&middle_cache);
	} else if (bytes > PAGE_SIZE) {
		memory = kernel_alloc(bytes, "semaphores");
	} else {
		page = page_alloc(PAGE_KERNEL, 0);
		memory = page ? page_data(page) : NULL;
	}
	if (!memory)
		ipc_uncharge(bytes);
	return memory;
}

void sem_free(void *memory, size_t bytes)
{
	if (bytes <= SMALL_BYTES)
		slab_free(&small_cache, memory);
	else if (bytes <= MIDDLE_BYTES)
		slab_free(&middle_cache, memory);
	else if (bytes > PAGE_SIZE)
		kernel_free(memory);
	else
		page_free(page_from_paddr(env_virt_to_phys(memory)));
	ipc_uncharge(bytes);
}

/* ---- semget -------------------------------------------------------------------------------------------------- */

static size_t bytes_of(const struct sem_set *set)
{
	return set->count * sizeof(struct semaphore);
}

static void free_set(struct sem_set *set)
{
	sem_free(set->semaphores, bytes_of(set));
	slab_free(&set_cache, set);
}

/* A set in no table, all values 0. NULL: no memory. */
static struct sem_set *make_set(unsigned count)
{
	struct sem_set *set = slab_alloc(&set_cache);

	if (!set)
		return NULL;
	*set = (struct sem_set){.count = count};
	TAILQ_INIT(&set->waiting);
	LIST_INIT(&set->undos);
	set->semaphores = sem_alloc(bytes_of(set));
	if (!set->semaphores) {
		slab_free(&set_cache, set);
		return NULL;
	}
	memset(set->semaphores, 0, bytes_of(set));
	return set;
}

/* The table is locked. The identifier, or -EINVAL, -ENOSPC, -ENOMEM. */
static int create(struct task *task, __kernel_key_t key, int count, unsigned mode)
{
	struct sem_set *set;
	int error;

	if (count == 0)
		return -EINVAL;
	if (all_semaphores + (uint64_t)count > (uint64_t)sysv_limits.semaphores_most)
		return -ENOSPC;
	set = make_set((unsigned)count);
	if (!set)
		return -ENOMEM;
	error = sysv_enter(&sem_table, &set->object, task, key, mode);
	if (error) {
		free_set(set);
		return error;
	}
	all_semaphores += set->count;
	return set->object.id;
}

int64_t sys_semget(struct task *task, struct trapframe *frame)
{
	__kernel_key_t key = (__kernel_key_t)frame->rdi;
	int count = (int)frame->rsi, result;
	unsigned flags = (unsigned)frame->rdx;
	struct sysv_object *found;

	if (count < 0 || count > sysv_limits.set_most)
		return -EINVAL;
	mutex_lock(&sem_table.lock);
	result = sysv_get(&sem_table, key, flags, &found);
	if (!result && !found)
		result = create(task, key, count, flags);
	else if (!result && (unsigned)count > sem_of_object(found)->count)
		result = -EINVAL;
	else if (!result)
		result = sysv_permitted(task, found, flags) ? found->id : -EACCES;
	mutex_unlock(&sem_table.lock);
	return result;
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

/* The set, if it may be used so. The table is locked. -EINVAL, -EACCES. */
static int find_set(struct task *task, int id, unsigned want, struct sem_set **out)
{
	struct sysv_object *object = sysv_find(&sem_table, id);

	if (!object)
		return -EINVAL;
	if (!sysv_permitted(task, object, want))
		return -EACCES;
	*out = sem_of_object(object);
	return 0;
}

/* Somebody said what values are: as if nobody had ever wanted to take anything back. */
static void values_set(struct task *task, struct sem_set *set, int number)
{
	sem_forget_undo(set, number);
	for (unsigned i = 0; i < set->count; i++)
		if (number < 0 || i == (unsigned)number)
			set->semaphores[i].pid = sysv_pid(task);
	set->object.changed = sysv_now();
	sem_update(set);
}

static int64_t set_value(struct task *task, int id, int number, int value)
{
	struct sysv_object *object;
	int result = 0;

	if (value < 0 || value > SEMVMX)
		return -ERANGE;
	mutex_lock(&sem_table.lock);
	object = sysv_find(&sem_table, id);
	if (!object || number < 0 || (unsigned)number >= sem_of_object(object)->count) {
		result = -EINVAL;
	} else if (!sysv_permitted(task, object, SYSV_MAY_WRITE)) {
		result = -EACCES;
	} else {
		sem_of_object(object)->semaphores[number].value = value;
		values_set(task, sem_of_object(object), number);
	}
	mutex_unlock(&sem_table.lock);
	return result;
}

/* GETVAL, GETPID, GETNCNT, GETZCNT. */
static int64_t get_value(struct task *task, int id, int number, int command)
{
	struct sem_set *set;
	int result;

	mutex_lock(&sem_table.lock);
	result = find_set(task, id, SYSV_MAY_READ, &set);
	if (!result && (number < 0 || (unsigned)number >= set->count))
		result = -EINVAL;
	else if (!result && command == GETVAL)
		result = set->semaphores[number].value;
	else if (!result && command == GETPID)
		result = set->semaphores[number].pid;
	else if (!result)
		result = sem_count_waits(set, (unsigned)number, command == GETZCNT);
	mutex_unlock(&sem_table.lock);
	return result;
}

/* How many semaphores a set has now; a set of the same identifier always has as many. */
static int64_t count_of(struct task *task, int id, unsigned want)
{
	struct sem_set *set;
	int64_t result;

	mutex_lock(&sem_table.lock);
	result = find_set(task, id, want, &set);
	if (!result)
		result = set->count;
	mutex_unlock(&sem_table.lock);
	return result;
}

/* Fills `values` from the set. The table is locked. */
static void read_values(const struct sem_set *set, unsigned short *values)
{
	for (unsigned i = 0; i < set->count; i++)
		values[i] = (unsigned short)set->semaphores[i].value;
}

static int64_t get_all(struct task *task, int id, vaddr_t to)
{
	int64_t result, count = count_of(task, id, SYSV_MAY_READ);
	size_t bytes = (size_t)count * sizeof(unsigned short);
	unsigned short *values;
	struct sem_set *set;

	if (count < 0)
		return count;
	values = sem_alloc(bytes);
	if (!values)
		return -ENOMEM;
	mutex_lock(&sem_table.lock);
	result = find_set(task, id, SYSV_MAY_READ, &set);
	/* Removed meanwhile; another that has come to have its number is none of the caller's. */
	if (result == -EINVAL || (!result && set->count != count))
		result = -EIDRM;
	if (!result)
		read_values(set, values);
	mutex_unlock(&sem_table.lock);
	if (!result && copy_to_user(to, values, bytes) != 0)
		result = -EFAULT;
	sem_free(values, bytes);
	return result;
}

/* The table is locked. */
static int64_t write_values(struct task *task, int id, const unsigned short *values, int64_t count)
{
	struct sem_set *set;
	int64_t result = find_set(task, id, SYSV_MAY_WRITE, &set);

	if (result == -EINVAL || (!result && set->count != count))
		return -EIDRM;
	if (result)
		return result;
	for (unsigned i = 0; i < set->count; i++)
		set->semaphores[i].value = values[i];
	values_set(task, set, -1);
	return 0;
}

static int64_t set_all(struct task *task, int id, vaddr_t from)
{
	int64_t result = 0, count = count_of(task, id, SYSV_MAY_WRITE);
	size_t bytes = (size_t)count * sizeof(unsigned short);
	unsigned short *values;

	if (count < 0)
		return count;
	values = sem_alloc(bytes);
	if (!values)
		return -ENOMEM;
	if (copy_from_user(values, from, bytes) != 0)
		result = -EFAULT;
	for (int64_t i = 0; i < count && !result; i++)
		if (values[i] > SEMVMX)
			result = -ERANGE;
	if (!result) {
		mutex_lock(&sem_table.lock);
		result = write_values(task, id, values, count);
		mutex_unlock(&sem_table.lock);
	}
	sem_free(values, bytes);
	return result;
}

/* ---- Sets ---------------------------------------------------------------------------------------------------------- */

/* The table is locked. */
static void remove_set(struct sem_set *set)
{
	sem_end_waits(set);
	all_semaphores -= set->count;
	sysv_leave(&sem_table, &set->object);
	free_set(set);
}

void sem_end(void)
{
	struct sysv_object *object;

	mutex_lock(&sem_table.lock);
	while ((object = sysv_from(&sem_table, 0)) != NULL)
		remove_set(sem_of_object(object));
	mutex_unlock(&sem_table.lock);
}

/* IPC_INFO and SEM_INFO: the fields that only older systems had are what Linux puts there (<linux/sem.h>). */
static int64_t give_limits(int command, vaddr_t to)
{
	struct seminfo info = {
		.semmap = SEMMAP,
		.semmns = sysv_limits.semaphores_most,
		.semmnu = SEMMNU,
		.semmsl = sysv_limits.set_most,
		.semopm = sysv_limits.operations_most,
		.semume = SEMUME,
		.semusz = SEMUSZ,
		.semvmx = SEMVMX,
		.semaem = SEMAEM,
	};
	int highest;

	mutex_lock(&sem_table.lock);
	info.semmni = sem_table.limit;
	if (command == SEM_INFO) {
		info.semusz = (int)sem_table.count;
		info.semaem = (int)all_semaphores;
	}
	highest = sysv_highest(&sem_table);
	mutex_unlock(&sem_table.lock);
	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : highest;
}

static struct semid64_ds describe(const struct sem_set *set)
{
	return (struct semid64_ds){
		.sem_perm = sysv_describe(&set->object),
		.sem_otime = set->operated,
		.sem_ctime = set->object.changed,
		.sem_nsems = set->count,
	};
}

static int64_t give_status(struct task *task, int id, int command, vaddr_t to)
{
	struct sysv_object *object;
	struct semid64_ds status;
	int64_t result;

	mutex_lock(&sem_table.lock);
	object = command == IPC_STAT ? sysv_find(&sem_table, id) : sysv_at(&sem_table, id);
	if (!object) {
		result = -EINVAL;
	} else if (command != SEM_STAT_ANY && !sysv_permitted(task, object, SYSV_MAY_READ)) {
		result = -EACCES;
	} else {
		status = describe(sem_of_object(object));
		result = command == IPC_STAT ? 0 : object->id;
	}
	mutex_unlock(&sem_table.lock);
	if (result < 0)
		return result;
	return copy_to_user(to, &status, sizeof(status)) ? -EFAULT : result;
}

static int64_t owner_call(struct task *task, int id, int command, vaddr_t from)
{
	struct semid64_ds wanted;
	struct sysv_object *object;
	int64_t result = 0;

	if (command == IPC_SET && copy_from_user(&wanted, from, sizeof(wanted)) != 0)
		return -EFAULT;
	mutex_lock(&sem_table.lock);
	object = sysv_find(&sem_table, id);
	if (!object)
		result = -EINVAL;
	else if (!sysv_is_owner(task, object))
		result = -EPERM;
	else if (command == IPC_SET)
		result = sysv_set(object, &wanted.sem_perm);
	else
		remove_set(sem_of_object(object));
	mutex_unlock(&sem_table.lock);
	return result;
}

int64_t sys_semctl(struct task *task, struct trapframe *frame)
{
	int id = (int)frame->rdi, number = (int)frame->rsi, command = (int)frame->rdx & ~IPC_64;

	if (id < 0)
		return -EINVAL;
	switch (command) {
	case IPC_INFO:
	case SEM_INFO:
		return give_limits(command, frame->r10);
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY:
		return give_status(task, id, command, frame->r10);
	case GETALL:
		return get_all(task, id, frame->r10);
	case SETALL:
		return set_all(task, id, frame->r10);
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
		return get_value(task, id, number, command);
	case SETVAL:
		return set_value(task, id, number, (int)frame->r10);
	case IPC_SET:
	case IPC_RMID:
		return owner_call(task, id, command, frame->r10);
	default:
		return -EINVAL;
	}
}

/* ---- /proc/sysvipc/sem ------------------------------------------------------------------------------------------------ */

bool sem_next(int *place, int *id, struct semid64_ds *out)
{
	struct sysv_object *object;

	mutex_lock(&sem_table.lock);
	object = sysv_from(&sem_table, *place);
	if (object) {
		*out = describe(sem_of_object(object));
		*id = object->id;
		*place = object->id % SYSV_PLACES + 1;
	}
	mutex_unlock(&sem_table.lock);
	return object != NULL;
}
