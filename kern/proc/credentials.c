/*
 * Credentials: whose rights a process has, and the calls that ask for them and change them (credentials(7), capabilities(7)).
 *
 * What a user or group may do with a file is kern/fs's business, with a process signal.c's.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/limits.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <vm/layout.h>

#include "process_internal.h"

#define ALL_CAPABILITIES (((uint64_t)2 << CAP_LAST_CAP) - 1)
#define NOBODY           UINT32_MAX /* as an ID: leave it as it is */
#define FILE_CAPABILITIES                                                                                  \
	(1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_FOWNER | \
	 1ull << CAP_FSETID | 1ull << CAP_LINUX_IMMUTABLE | 1ull << CAP_MKNOD | 1ull << CAP_MAC_OVERRIDE)

/* At the beginning of pages that hold all of them. Locks: (a) atomic; (-) set once. */
struct group_list {
	_Atomic uint32_t refs; /* (a) */
	uint32_t count;        /* (-) */
	uint32_t groups[];     /* (-) in the order of the program */
};

static size_t list_pages(uint32_t count)
{
	return bytes_to_pages(sizeof(struct group_list) + count * sizeof(uint32_t));
}

static void list_unref(struct group_list *list)
{
	if (list && --list->refs == 0)
		page_free_run(page_from_paddr(env_virt_to_phys(list)), list_pages(list->count));
}

/* ---- Credentials as such ------------------------------------------------------------------------------------- */

void credentials_init(struct credentials *credentials)
{
	*credentials = (struct credentials){
		.permitted = ALL_CAPABILITIES,
		.usable = ALL_CAPABILITIES,
		.bounding = ALL_CAPABILITIES,
	};
}

void credentials_copy(struct credentials *to, const struct credentials *from)
{
	*to = *from;
	if (to->groups)
		to->groups->refs++;
}

void credentials_drop(struct credentials *credentials)
{
	list_unref(credentials->groups);
	credentials->groups = NULL;
}

/* capabilities(7), "Transformation of capabilities during execve()", for files that have none of their own. */
void credentials_exec(struct credentials *credentials, int64_t user, int64_t group)
{
	bool was_root = credentials->user.effective == 0;

	if (!credentials->no_new_rights) {
		if (user >= 0)
			credentials->user.effective = (uint32_t)user;
		if (group >= 0)
			credentials->group.effective = (uint32_t)group;
	}
	credentials->user.saved = credentials->user.files = credentials->user.effective;
	credentials->group.saved = credentials->group.files = credentials->group.effective;
	credentials->keeps = false;
	if (credentials->user.real == 0 || credentials->user.effective == 0) {
		credentials->permitted = credentials->inheritable | credentials->bounding;
		credentials->usable = credentials->user.effective == 0 ? credentials->permitted : 0;
		if (!was_root)
			credentials->ambient = 0;
	} else {
		credentials->permitted = credentials->usable = credentials->ambient;
	}
}

bool task_capable(const struct task *task, int capability)
{
	return task->process->credentials.usable >> capability & 1;
}

static bool same_identity(uint32_t caller, const struct identity *target)
{
	return caller == target->real && caller == target->effective && caller == target->saved;
}

bool task_may_look(const struct task *task, const struct process *process)
{
	const struct credentials *own = &task->process->credentials, *other = &process->credentials;

	if (process == task->process || task_capable(task, CAP_SYS_PTRACE))
		return true;
	return same_identity(own->user.real, &other->user) && same_identity(own->group.real, &other->group) &&
	       !process->not_dumpable && !(other->permitted & ~own->permitted);
}

bool task_is_privileged(const struct task *task)
{
	return task_capable(task, CAP_SYS_ADMIN);
}

bool credentials_in_group(const struct credentials *credentials, uint32_t group)
{
	const struct group_list *list;
	bool found = credentials->group.files == group;

	/* Another task of the process may change the list. */
	spin_lock(&process_lock);
	list = credentials->groups;
	for (uint32_t i = 0; !found && list && i < list->count; i++)
		found = list->groups[i] == group;
	spin_unlock(&process_lock);
	return found;
}

/* ---- Changing users and groups --------------------------------------------------------------------------------- */

/* capabilities(7), "Effect of user ID changes on capabilities". */
static void adjust_capabilities(struct credentials *credentials, const struct identity *before)
{
	const struct identity *now = &credentials->user;
	bool had_root = before->real == 0 || before->effective == 0 || before->saved == 0;
	bool has_root = now->real == 0 || now->effective == 0 || now->saved == 0;

	if (had_root && !has_root) {
		if (!credentials->keeps)
			credentials->permitted = 0;
		credentials->usable = 0;
		credentials->ambient = 0;
	}
	if (before->effective == 0 && now->effective != 0)
		credentials->usable = 0;
	if (before->effective != 0 && now->effective == 0)
		credentials->usable = credentials->permitted;
}

/* What a call makes of an identity, if it may. 0 or -EPERM. `privileged`: it has CAP_SETUID or CAP_SETGID. */
typedef int identity_change(struct identity *identity, bool privileged, const struct trapframe *frame);

static int64_t change_user(struct task *task, const struct trapframe *frame, identity_change *change)
{
	struct credentials *credentials = &task->process->credentials;
	struct identity before, now;
	int error;

	spin_lock(&process_lock);
	before = now = credentials->user;
	error = change(&now, task_capable(task, CAP_SETUID), frame);
	if (!error) {
		credentials->user = now;
		adjust_capabilities(credentials, &before);
	}
	spin_unlock(&process_lock);
	return error;
}

static int64_t change_group(struct task *task, const struct trapframe *frame, identity_change *change)
{
	struct credentials *credentials = &task->process->credentials;
	struct identity now;
	int error;

	spin_lock(&process_lock);
	now = credentials->group;
	error = change(&now, task_capable(task, CAP_SETGID), frame);
	if (!error)
		credentials->group = now;
	spin_unlock(&process_lock);
	return error;
}

static bool is_one_of(uint32_t id, const struct identity *identity)
{
	return id == identity->real || id == identity->effective || id == identity->saved;
}

/* setuid(2) */
static int set(struct identity *identity, bool privileged, const struct trapframe *frame)
{
	uint32_t id = (uint32_t)frame->rdi;

	if (id == NOBODY)
		return -EINVAL;
	if (privileged)
		*identity = (struct identity){id, id, id, id};
	else if (id == identity->real || id == identity->saved)
		identity->effective = identity->files = id;
	else
		return -EPERM;
	return 0;
}

/* setreuid(2) */
static int set_two(struct identity *identity, bool privileged, const struct trapframe *frame)
{
	uint32_t real = (uint32_t)frame->rdi, effective = (uint32_t)frame->rsi;
	struct identity before = *identity;

	if (real != NOBODY && !privileged && real != before.real && real != before.effective)
		return -EPERM;
	if (effective != NOBODY && !privileged && !is_one_of(effective, &before))
		return -EPERM;
	if (real != NOBODY)
		identity->real = real;
	if (effective != NOBODY)
		identity->effective = effective;
	if (real != NOBODY || (effective != NOBODY && effective != before.real))
		identity->saved = identity->effective;
	identity->files = identity->effective;
	return 0;
}

/* setresuid(2) */
static int set_three(struct identity *identity, bool privileged, const struct trapframe *frame)
{
	const uint32_t wanted[] = {(uint32_t)frame->rdi, (uint32_t)frame->rsi, (uint32_t)frame->rdx};
	uint32_t *const to[] = {&identity->real, &identity->effective, &identity->saved};
	struct identity before = *identity;

	for (int i = 0; i < 3; i++) {
		if (wanted[i] == NOBODY)
			continue;
		if (!privileged && !is_one_of(wanted[i], &before))
			return -EPERM;
		*to[i] = wanted[i];
	}
	identity->files = identity->effective;
	return 0;
}

int64_t sys_setuid(struct task *task, struct trapframe *frame)
{
	return change_user(task, frame, set);
}

int64_t sys_setgid(struct task *task, struct trapframe *frame)
{
	return change_group(task, frame, set);
}

int64_t sys_setreuid(struct task *task, struct trapframe *frame)
{
	return change_user(task, frame, set_two);
}

int64_t sys_setregid(struct task *task, struct trapframe *frame)
{
	return change_group(task, frame, set_two);
}

int64_t sys_setresuid(struct task *task, struct trapframe *frame)
{
	return change_user(task, frame, set_three);
}

int64_t sys_setresgid(struct task *task, struct trapframe *frame)
{
	return change_group(task, frame, set_three);
}

/* setfsuid(2): says what it was, and never that it failed. The lock is held. */
static int64_t set_files(struct identity *identity, bool privileged, uint32_t id)
{
	uint32_t before = identity->files;

	if (id != NOBODY && (privileged || id == before || is_one_of(id, identity)))
		identity->files = id;
	return before;
}

/* capabilities(7): who is no root for files has not root's rights with files. */
static void adjust_file_capabilities(struct credentials *credentials, uint32_t before)
{
	uint32_t now = credentials->user.files;

	if (before == 0 && now != 0)
		credentials->usable &= ~FILE_CAPABILITIES;
	if (before != 0 && now == 0)
		credentials->usable |= credentials->permitted & FILE_CAPABILITIES;
}

int64_t sys_setfsuid(struct task *task, struct trapframe *frame)
{
	struct credentials *credentials = &task->process->credentials;
	bool privileged = task_capable(task, CAP_SETUID);
	int64_t before;

	spin_lock(&process_lock);
	before = set_files(&credentials->user, privileged, (uint32_t)frame->rdi);
	adjust_file_capabilities(credentials, (uint32_t)before);
	spin_unlock(&process_lock);
	return before;
}

int64_t sys_setfsgid(struct task *task, struct trapframe *frame)
{
	bool privileged = task_capable(task, CAP_SETGID);
	int64_t before;

	spin_lock(&process_lock);
	before = set_files(&task->process->credentials.group, privileged, (uint32_t)frame->rdi);
	spin_unlock(&process_lock);
	return before;
}

/* ---- Asking for them --------------------------------------------------------------------------------------------- */

int64_t sys_getuid(struct task *task, struct trapframe *frame)
{
	(void)frame;
	return task->process->credentials.user.real;
}

int64_t sys_geteuid(struct task *task, struct trapframe *frame)
{
	(void)frame;
	return task->process->credentials.user.effective;
}

int64_t sys_getgid(struct task *task, struct trapframe *frame)
{
	(void)frame;
	return task->process->credentials.group.real;
}

int64_t sys_getegid(struct task *task, struct trapframe *frame)
{
	(void)frame;
	return task->process->credentials.group.effective;
}

static int64_t put_three(const struct identity *identity, const struct trapframe *frame)
{
	const struct identity now = *identity;

	if (copy_to_user(frame->rdi, &now.real, sizeof(now.real)) != 0 ||
	    copy_to_user(frame->rsi, &now.effective, sizeof(now.effective)) != 0 ||
	    copy_to_user(frame->rdx, &now.saved, sizeof(now.saved)) != 0)
		return -EFAULT;
	return 0;
}

int64_t sys_getresuid(struct task *task, struct trapframe *frame)
{
	return put_three(&task->process->credentials.user, frame);
}

int64_t sys_getresgid(struct task *task, struct trapframe *frame)
{
	return put_three(&task->process->credentials.group, frame);
}

/* ---- Supplementary groups ------------------------------------------------------------------------------------------ */

/* The process's list, with a reference; NULL: it has none. */
static struct group_list *list_get(struct task *task)
{
	struct group_list *list;

	spin_lock(&process_lock);
	list = task->process->credentials.groups;
	if (list)
		list->refs++;
	spin_unlock(&process_lock);
	return list;
}

int64_t sys_getgroups(struct task *task, struct trapframe *frame)
{
	int room = (int)frame->rdi;
	struct group_list *list = list_get(task);
	int64_t result = list ? list->count : 0;

	if (room < 0 || (room > 0 && room < result))
		result = -EINVAL;
	else if (room > 0 && list && copy_to_user(frame->rsi, list->groups, list->count * sizeof(uint32_t)))
		result = -EFAULT;
	list_unref(list);
	return result;
}

/* A list of the program's. 0, with NULL for an empty one; -ENOMEM, -EFAULT. */
static int list_read(uint32_t count, vaddr_t from, struct group_list **out)
{
	struct page *pages;
	struct group_list *list;

	*out = NULL;
	if (count == 0)
		return 0;
	pages = page_alloc_run(PAGE_KERNEL, list_pages(count), 1, PAGE_ANYWHERE, 0);
	if (!pages)
		return -ENOMEM;
	list = page_data(pages);
	list->refs = 1;
	list->count = count;
	if (copy_from_user(list->groups, from, count * sizeof(uint32_t)) != 0) {
		list_unref(list);
		return -EFAULT;
	}
	*out = list;
	return 0;
}

int64_t sys_setgroups(struct task *task, struct trapframe *frame)
{
	uint32_t count = (uint32_t)frame->rdi;
	struct group_list *list, *before;
	int error;

	if (!task_capable(task, CAP_SETGID))
		return -EPERM;
	if (count > NGROUPS_MAX)
		return -EINVAL;
	error = list_read(count, frame->rsi, &list);
	if (error)
		return error;
	spin_lock(&process_lock);
	before = task->process->credentials.groups;
	task->process->credentials.groups = list;
	spin_unlock(&process_lock);
	list_unref(before);
	return 0;
}

/* ---- Capabilities ---------------------------------------------------------------------------------------------------- */

/* How many words of 32 bits a version of the interface has; 0: there is no such version. */
static unsigned words_of_version(uint32_t version)
{
	if (version == _LINUX_CAPABILITY_VERSION_1)
		return _LINUX_CAPABILITY_U32S_1;
	if (version == _LINUX_CAPABILITY_VERSION_2 || version == _LINUX_CAPABILITY_VERSION_3)
		return _LINUX_CAPABILITY_U32S_3;
	return 0;
}

/* Reads the header; where its version is not known tells which is. 0 with the words; -EFAULT, -EINVAL. */
static int get_header(vaddr_t from, struct __user_cap_header_struct *header, unsigned *words)
{
	const uint32_t newest = _LINUX_CAPABILITY_VERSION_3;

	if (copy_from_user(header, from, sizeof(*header)) != 0)
		return -EFAULT;
	*words = words_of_version(header->version);
	if (*words > 0)
		return 0;
	return copy_to_user(from, &newest, sizeof(newest)) ? -EFAULT : -EINVAL;
}

int64_t sys_capget(struct task *task, struct trapframe *frame)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_header_struct header;
	struct process *process;
	unsigned words;
	int error = get_header(frame->rdi, &header, &words);

	/* As Linux: this is how one asks for the version. */
	if (error == -EINVAL && !frame->rsi)
		return 0;
	if (error)
		return error;
	if (header.pid < 0)
		return -EINVAL;
	spin_lock(&process_lock);
	process = header.pid == 0 ? task->process : process_find_locked(header.pid);
	for (unsigned i = 0; process && i < words; i++) {
		data[i].effective = (uint32_t)(process->credentials.usable >> 32 * i);
		data[i].permitted = (uint32_t)(process->credentials.permitted >> 32 * i);
		data[i].inheritable = (uint32_t)(process->credentials.inheritable >> 32 * i);
	}
	spin_unlock(&process_lock);
	if (!process)
		return -ESRCH;
	return frame->rsi ? copy_to_user(frame->rsi, data, words * sizeof(data[0])) : 0;
}

/* Are the sets allowed (capset(2))? */
static bool may_have(const struct task *task, uint64_t usable, uint64_t permitted, uint64_t inheritable)
{
	const struct credentials *now = &task->process->credentials;

	if (!task_capable(task, CAP_SETPCAP) && (inheritable & ~(now->inheritable | now->permitted)))
		return false;
	if (inheritable & ~(now->inheritable | now->bounding))
		return false;
	return !(permitted & ~now->permitted) && !(usable & ~permitted);
}

int64_t sys_capset(struct task *task, struct trapframe *frame)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
	struct credentials *credentials = &task->process->credentials;
	uint64_t usable = 0, permitted = 0, inheritable = 0;
	struct __user_cap_header_struct header;
	unsigned words;
	int error = get_header(frame->rdi, &header, &words);

	if (error)
		return error;
	if (header.pid != 0 && header.pid != task->tid)
		return -EPERM;
	if (copy_from_user(data, frame->rsi, words * sizeof(data[0])) != 0)
		return -EFAULT;
	for (unsigned i = 0; i < words; i++) {
		usable |= (uint64_t)data[i].effective << 32 * i;
		permitted |= (uint64_t)data[i].permitted << 32 * i;
		inheritable |= (uint64_t)data[i].inheritable << 32 * i;
	}
	spin_lock(&process_lock);
	error = may_have(task, usable, permitted, inheritable) ? 0 : -EPERM;
	if (!error) {
		credentials->usable = usable;
		credentials->permitted = permitted;
		credentials->inheritable = inheritable;
		credentials->ambient &= permitted & inheritable;
	}
	spin_unlock(&process_lock);
	return error;
}

static int64_t ambient(struct task *task, uint64_t what, uint64_t capability)
{
	struct credentials *credentials = &task->process->credentials;
	uint64_t bit = (uint64_t)1 << (capability & 63);

	if (what == PR_CAP_AMBIENT_CLEAR_ALL) {
		credentials->ambient = 0;
		return capability ? -EINVAL : 0;
	}
	if (capability > CAP_LAST_CAP)
		return -EINVAL;
	if (what == PR_CAP_AMBIENT_IS_SET)
		return (credentials->ambient & bit) != 0;
	if (what == PR_CAP_AMBIENT_LOWER) {
		credentials->ambient &= ~bit;
		return 0;
	}
	if (what != PR_CAP_AMBIENT_RAISE)
		return -EINVAL;
	if (!(credentials->permitted & credentials->inheritable & bit) || credentials->no_more_ambient)
		return -EPERM;
	credentials->ambient |= bit;
	return 0;
}

/* What root may do can be taken away from it as capabilities only: the other bits are not to be had. */
static int64_t set_secure_bits(struct task *task, uint64_t bits)
{
	struct credentials *credentials = &task->process->credentials;

	if (bits & ~(uint64_t)(SECBIT_KEEP_CAPS | SECBIT_NO_CAP_AMBIENT_RAISE) ||
	    !task_capable(task, CAP_SETPCAP))
		return -EPERM;
	credentials->keeps = bits & SECBIT_KEEP_CAPS;
	credentials->no_more_ambient = bits & SECBIT_NO_CAP_AMBIENT_RAISE;
	return 0;
}

/* The part of prctl(2) that is about capabilities; -ENOSYS: not that part. */
int64_t credentials_control(struct task *task, const struct trapframe *frame)
{
	struct credentials *credentials = &task->process->credentials;
	uint64_t argument = frame->rsi;

	switch ((int)frame->rdi) {
	case PR_GET_KEEPCAPS:
		return credentials->keeps;
	case PR_SET_KEEPCAPS:
		if (argument > 1)
			return -EINVAL;
		credentials->keeps = argument;
		return 0;
	case PR_GET_SECUREBITS:
		return (credentials->keeps ? SECBIT_KEEP_CAPS : 0) |
		       (credentials->no_more_ambient ? SECBIT_NO_CAP_AMBIENT_RAISE : 0);
	case PR_SET_SECUREBITS:
		return set_secure_bits(task, argument);
	case PR_CAPBSET_READ:
		return argument > CAP_LAST_CAP ? -EINVAL : (int64_t)(credentials->bounding >> argument & 1);
	case PR_CAPBSET_DROP:
		if (!task_capable(task, CAP_SETPCAP))
			return -EPERM;
		if (argument > CAP_LAST_CAP)
			return -EINVAL;
		credentials->bounding &= ~((uint64_t)1 << argument);
		return 0;
	case PR_CAP_AMBIENT:
		return frame->r10 || frame->r8 ? -EINVAL : ambient(task, argument, frame->rdx);
	case PR_SET_NO_NEW_PRIVS:
		if (argument != 1 || frame->rdx || frame->r10 || frame->r8)
			return -EINVAL;
		credentials->no_new_rights = true;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return argument || frame->rdx || frame->r10 || frame->r8 ? -EINVAL
									 : credentials->no_new_rights;
	default:
		return -ENOSYS;
	}
}
