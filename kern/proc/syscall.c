/*
 * System calls: from the number to the handler.
 *
 * Numbers and conventions are Linux's for x86-64 (<asm/unistd_64.h>), and our own from 0x5000
 * (<kern/phoenix_abi.h>). vectors.asm builds the frame; the calls themselves are in the sys_*.c.
 */
#include <asm/errno.h>
#include <asm/unistd_64.h>
#include <kern/phoenix_abi.h>
#include <stdatomic.h>
#include <vm/page.h>
#include <vm/swap.h>

#include "syscall.h"

#define LINUX_CALLS 512 /* more than Linux has */
#define WORD_BITS   64

/* How often a call that finds no memory is made again, after some was made. */
#define ROOM_ATTEMPTS 16u

static syscall_handler *const linux_calls[LINUX_CALLS] = {
	[__NR_read] = sys_read,
	[__NR_write] = sys_write,
	[__NR_readv] = sys_readv,
	[__NR_writev] = sys_writev,
	[__NR_pread64] = sys_pread64,
	[__NR_pwrite64] = sys_pwrite64,
	[__NR_preadv] = sys_preadv,
	[__NR_pwritev] = sys_pwritev,
	[__NR_preadv2] = sys_preadv2,
	[__NR_pwritev2] = sys_pwritev2,
	[__NR_lseek] = sys_lseek,
	[__NR_ioctl] = sys_ioctl,
	[__NR_ftruncate] = sys_ftruncate,
	[__NR_fallocate] = sys_fallocate,
	[__NR_fsync] = sys_fsync,
	[__NR_fdatasync] = sys_fsync,
	[__NR_syncfs] = sys_syncfs,
	[__NR_sync] = sys_sync,
	[__NR_sync_file_range] = sys_sync_file_range,
	[__NR_fadvise64] = sys_fadvise64,
	[__NR_readahead] = sys_readahead,
	[__NR_close] = sys_close,
	[__NR_dup] = sys_dup,
	[__NR_dup2] = sys_dup2,
	[__NR_dup3] = sys_dup3,
	[__NR_close_range] = sys_close_range,
	[__NR_fcntl] = sys_fcntl,
	[__NR_open] = sys_open,
	[__NR_openat] = sys_openat,
	[__NR_creat] = sys_creat,
	[__NR_mkdir] = sys_mkdir,
	[__NR_mkdirat] = sys_mkdirat,
	[__NR_mknod] = sys_mknod,
	[__NR_mknodat] = sys_mknodat,
	[__NR_symlink] = sys_symlink,
	[__NR_symlinkat] = sys_symlinkat,
	[__NR_unlink] = sys_unlink,
	[__NR_rmdir] = sys_rmdir,
	[__NR_unlinkat] = sys_unlinkat,
	[__NR_link] = sys_link,
	[__NR_linkat] = sys_linkat,
	[__NR_rename] = sys_rename,
	[__NR_renameat] = sys_renameat,
	[__NR_renameat2] = sys_renameat2,
	[__NR_stat] = sys_stat,
	[__NR_lstat] = sys_lstat,
	[__NR_fstat] = sys_fstat,
	[__NR_newfstatat] = sys_newfstatat,
	[__NR_statx] = sys_statx,
	[__NR_access] = sys_access,
	[__NR_faccessat] = sys_faccessat,
	[__NR_faccessat2] = sys_faccessat2,
	[__NR_readlink] = sys_readlink,
	[__NR_readlinkat] = sys_readlinkat,

	[__NR_flock] = sys_flock,
	[__NR_getdents] = sys_getdents,
	[__NR_getdents64] = sys_getdents64,
	[__NR_chdir] = sys_chdir,
	[__NR_chroot] = sys_chroot,
	[__NR_fchdir] = sys_fchdir,
	[__NR_getcwd] = sys_getcwd,
	[__NR_umask] = sys_umask,
	[__NR_chmod] = sys_chmod,
	[__NR_fchmod] = sys_fchmod,
	[__NR_fchmodat] = sys_fchmodat,
	[__NR_chown] = sys_chown,
	[__NR_lchown] = sys_lchown,
	[__NR_fchown] = sys_fchown,
	[__NR_fchownat] = sys_fchownat,
	[__NR_utimensat] = sys_utimensat,
	[__NR_utimes] = sys_utimes,
	[__NR_futimesat] = sys_futimesat,
	[__NR_utime] = sys_utime,
	[__NR_truncate] = sys_truncate,
	[__NR_getxattr] = sys_getxattr,
	[__NR_lgetxattr] = sys_lgetxattr,
	[__NR_fgetxattr] = sys_fgetxattr,
	[__NR_setxattr] = sys_setxattr,
	[__NR_lsetxattr] = sys_lsetxattr,
	[__NR_fsetxattr] = sys_fsetxattr,
	[__NR_listxattr] = sys_listxattr,
	[__NR_llistxattr] = sys_llistxattr,
	[__NR_flistxattr] = sys_flistxattr,
	[__NR_removexattr] = sys_getxattr,
	[__NR_lremovexattr] = sys_lgetxattr,
	[__NR_fremovexattr] = sys_fgetxattr,
	[__NR_statfs] = sys_statfs,
	[__NR_fstatfs] = sys_fstatfs,
	[__NR_mount] = sys_mount,
	[__NR_umount2] = sys_umount2,
	[__NR_swapon] = sys_swapon,
	[__NR_swapoff] = sys_swapoff,
	[__NR_name_to_handle_at] = sys_name_to_handle_at,
	[__NR_sendfile] = sys_sendfile,
	[__NR_copy_file_range] = sys_copy_file_range,
	[__NR_memfd_create] = sys_memfd_create,

	[__NR_pipe] = sys_pipe,
	[__NR_pipe2] = sys_pipe2,
	[__NR_splice] = sys_splice,
	[__NR_tee] = sys_tee,
	[__NR_vmsplice] = sys_vmsplice,
	[__NR_socket] = sys_socket,
	[__NR_socketpair] = sys_socketpair,
	[__NR_bind] = sys_bind,
	[__NR_listen] = sys_listen,
	[__NR_accept] = sys_accept,
	[__NR_accept4] = sys_accept4,
	[__NR_connect] = sys_connect,
	[__NR_getsockname] = sys_getsockname,
	[__NR_getpeername] = sys_getpeername,
	[__NR_sendto] = sys_sendto,
	[__NR_recvfrom] = sys_recvfrom,
	[__NR_sendmsg] = sys_sendmsg,
	[__NR_recvmsg] = sys_recvmsg,
	[__NR_sendmmsg] = sys_sendmmsg,
	[__NR_recvmmsg] = sys_recvmmsg,
	[__NR_shutdown] = sys_shutdown,
	[__NR_setsockopt] = sys_setsockopt,
	[__NR_getsockopt] = sys_getsockopt,
	[__NR_poll] = sys_poll,
	[__NR_ppoll] = sys_ppoll,
	[__NR_select] = sys_select,
	[__NR_pselect6] = sys_pselect6,
	[__NR_epoll_create] = sys_epoll_create,
	[__NR_epoll_create1] = sys_epoll_create1,
	[__NR_epoll_ctl] = sys_epoll_ctl,
	[__NR_epoll_wait] = sys_epoll_wait,
	[__NR_epoll_pwait] = sys_epoll_pwait,
	[__NR_epoll_pwait2] = sys_epoll_pwait2,
	[__NR_eventfd] = sys_eventfd,
	[__NR_eventfd2] = sys_eventfd2,

	[__NR_mmap] = sys_mmap,
	[__NR_munmap] = sys_munmap,
	[__NR_mprotect] = sys_mprotect,
	[__NR_brk] = sys_brk,
	[__NR_madvise] = sys_madvise,
	[__NR_process_madvise] = sys_process_madvise,
	[__NR_set_mempolicy] = sys_set_mempolicy,
	[__NR_get_mempolicy] = sys_get_mempolicy,
	[__NR_mbind] = sys_mbind,
	[__NR_mincore] = sys_mincore,
	[__NR_mremap] = sys_mremap,
	[__NR_remap_file_pages] = sys_remap_file_pages,
	[__NR_msync] = sys_msync,
	[__NR_membarrier] = sys_membarrier,
	[__NR_mlock] = sys_mlock,
	[__NR_mlock2] = sys_mlock2,
	[__NR_munlock] = sys_munlock,
	[__NR_mlockall] = sys_mlockall,
	[__NR_munlockall] = sys_munlockall,
	[__NR_shmget] = sys_shmget,
	[__NR_shmat] = sys_shmat,
	[__NR_shmdt] = sys_shmdt,
	[__NR_shmctl] = sys_shmctl,
	[__NR_msgget] = sys_msgget,
	[__NR_msgsnd] = sys_msgsnd,
	[__NR_msgrcv] = sys_msgrcv,
	[__NR_msgctl] = sys_msgctl,
	[__NR_semget] = sys_semget,
	[__NR_semop] = sys_semop,
	[__NR_semtimedop] = sys_semtimedop,
	[__NR_semctl] = sys_semctl,
	[__NR_mq_open] = sys_mq_open,
	[__NR_mq_unlink] = sys_mq_unlink,
	[__NR_mq_timedsend] = sys_mq_timedsend,
	[__NR_mq_timedreceive] = sys_mq_timedreceive,
	[__NR_mq_notify] = sys_mq_notify,
	[__NR_mq_getsetattr] = sys_mq_getsetattr,
	[__NR_process_vm_readv] = sys_process_vm_readv,
	[__NR_process_vm_writev] = sys_process_vm_writev,

	[__NR_getpid] = sys_getpid,
	[__NR_getppid] = sys_getppid,
	[__NR_gettid] = sys_gettid,
	[__NR_uname] = sys_uname,
	[__NR_getuid] = sys_getuid,
	[__NR_geteuid] = sys_geteuid,
	[__NR_getgid] = sys_getgid,
	[__NR_getegid] = sys_getegid,
	[__NR_getresuid] = sys_getresuid,
	[__NR_getresgid] = sys_getresgid,
	[__NR_setuid] = sys_setuid,
	[__NR_setgid] = sys_setgid,
	[__NR_setreuid] = sys_setreuid,
	[__NR_setregid] = sys_setregid,
	[__NR_setresuid] = sys_setresuid,
	[__NR_setresgid] = sys_setresgid,
	[__NR_setfsuid] = sys_setfsuid,
	[__NR_setfsgid] = sys_setfsgid,
	[__NR_getgroups] = sys_getgroups,
	[__NR_setgroups] = sys_setgroups,
	[__NR_capget] = sys_capget,
	[__NR_capset] = sys_capset,
	[__NR_prctl] = sys_prctl,
	[__NR_personality] = sys_personality,
	[__NR_unshare] = sys_unshare,
	[__NR_getrusage] = sys_getrusage,
	[__NR_times] = sys_times,
	[__NR_getpriority] = sys_getpriority,
	[__NR_ioprio_get] = sys_ioprio_get,
	[__NR_ioprio_set] = sys_ioprio_set,
	[__NR_setpriority] = sys_setpriority,
	[__NR_getcpu] = sys_getcpu,
	[__NR_sched_getscheduler] = sys_sched_getscheduler,
	[__NR_sched_setscheduler] = sys_sched_setscheduler,
	[__NR_sched_getparam] = sys_sched_getparam,
	[__NR_sched_setparam] = sys_sched_setparam,
	[__NR_sched_get_priority_max] = sys_sched_get_priority_max,
	[__NR_sched_get_priority_min] = sys_sched_get_priority_min,
	[__NR_sched_rr_get_interval] = sys_sched_rr_get_interval,
	[__NR_sched_setattr] = sys_sched_setattr,
	[__NR_sched_getattr] = sys_sched_getattr,
	[__NR_sched_getaffinity] = sys_sched_getaffinity,
	[__NR_sched_setaffinity] = sys_sched_setaffinity,
	[__NR_sethostname] = sys_sethostname,
	[__NR_setdomainname] = sys_setdomainname,
	[__NR_syslog] = sys_syslog,
	[__NR_reboot] = sys_reboot,
	[__NR_rseq] = sys_not_here,
	[__NR_acct] = sys_not_here,

	[__NR_exit] = sys_exit,
	[__NR_exit_group] = sys_exit_group,
	[__NR_fork] = sys_fork,
	[__NR_vfork] = sys_vfork,
	[__NR_clone] = sys_clone,
	[__NR_clone3] = sys_clone3,
	[__NR_execve] = sys_execve,
	[__NR_execveat] = sys_execveat,
	[__NR_wait4] = sys_wait4,
	[__NR_waitid] = sys_waitid,
	[__NR_setsid] = sys_setsid,
	[__NR_getsid] = sys_getsid,
	[__NR_setpgid] = sys_setpgid,
	[__NR_getpgid] = sys_getpgid,
	[__NR_getpgrp] = sys_getpgrp,
	[__NR_futex] = sys_futex,
	[__NR_futex_waitv] = sys_futex_waitv,
	[__NR_get_robust_list] = sys_get_robust_list,
	[__NR_arch_prctl] = sys_arch_prctl,
	[__NR_set_tid_address] = sys_set_tid_address,
	[__NR_set_robust_list] = sys_set_robust_list,
	[__NR_sched_yield] = sys_sched_yield,
	[__NR_getrlimit] = sys_getrlimit,
	[__NR_setrlimit] = sys_setrlimit,
	[__NR_prlimit64] = sys_prlimit64,
	[__NR_getrandom] = sys_getrandom,
	[__NR_sysinfo] = sys_sysinfo,

	[__NR_rt_sigaction] = sys_rt_sigaction,
	[__NR_rt_sigprocmask] = sys_rt_sigprocmask,
	[__NR_rt_sigpending] = sys_rt_sigpending,
	[__NR_rt_sigsuspend] = sys_rt_sigsuspend,
	[__NR_rt_sigtimedwait] = sys_rt_sigtimedwait,
	[__NR_rt_sigreturn] = sys_rt_sigreturn,
	[__NR_sigaltstack] = sys_sigaltstack,
	[__NR_pause] = sys_pause,
	[__NR_restart_syscall] = sys_restart_syscall,
	[__NR_kill] = sys_kill,
	[__NR_pidfd_send_signal] = sys_pidfd_send_signal,
	[__NR_pidfd_open] = sys_pidfd_open,
	[__NR_pidfd_getfd] = sys_pidfd_getfd,
	[__NR_kcmp] = sys_kcmp,
	[__NR_tkill] = sys_tkill,
	[__NR_tgkill] = sys_tgkill,
	[__NR_rt_sigqueueinfo] = sys_rt_sigqueueinfo,
	[__NR_rt_tgsigqueueinfo] = sys_rt_tgsigqueueinfo,

	[__NR_clock_gettime] = sys_clock_gettime,
	[__NR_clock_getres] = sys_clock_getres,
	[__NR_clock_settime] = sys_clock_settime,
	[__NR_gettimeofday] = sys_gettimeofday,
	[__NR_settimeofday] = sys_settimeofday,
	[__NR_time] = sys_time,
	[__NR_nanosleep] = sys_nanosleep,
	[__NR_clock_nanosleep] = sys_clock_nanosleep,
	[__NR_getitimer] = sys_getitimer,
	[__NR_setitimer] = sys_setitimer,
	[__NR_alarm] = sys_alarm,
	[__NR_timer_create] = sys_timer_create,
	[__NR_timer_settime] = sys_timer_settime,
	[__NR_timer_gettime] = sys_timer_gettime,
	[__NR_timer_getoverrun] = sys_timer_getoverrun,
	[__NR_timer_delete] = sys_timer_delete,
	[__NR_timerfd_create] = sys_timerfd_create,
	[__NR_timerfd_settime] = sys_timerfd_settime,
	[__NR_timerfd_gettime] = sys_timerfd_gettime,
	[__NR_signalfd] = sys_signalfd,
	[__NR_signalfd4] = sys_signalfd4,
};

/* Says it on the console, the first time for each number that Linux might have. */
static int64_t unknown_call(const struct process *process, uint64_t number)
{
	static _Atomic uint64_t named[LINUX_CALLS / WORD_BITS];
	uint64_t bit = (uint64_t)1 << number % WORD_BITS;

	if (number < LINUX_CALLS && !(atomic_fetch_or(&named[number / WORD_BITS], bit) & bit))
		env_log("phoenix: %s[%d] asked for system call %llu, which is not here: -ENOSYS",
			process->name, process->pid, (unsigned long long)number);
	return -ENOSYS;
}

/* Did the call find no memory, and was there something to give up? What else is -ENOMEM, a limit or a hole, is not about pages. */
static bool made_room(struct task *task)
{
	uint64_t failures = page_failures();
	bool lacked = failures != task->failures_seen;

	task->failures_seen = failures;
	return lacked && !(task->thread.interrupts & INTERRUPT_KILL) && vm_make_room();
}

/*
 * What a call that failed comes to. Small objects and pages of the kernel are allocated where nobody can wait for others to be given up; so the call does
 * that now, with no lock held, and begins once more: having failed it has changed nothing.
 */
static __attribute__((noinline)) int64_t failed(syscall_handler *handler, struct task *task,
						struct trapframe *frame, int64_t result)
{
	for (unsigned i = 0; result == -ENOMEM && i < ROOM_ATTEMPTS && made_room(task); i++)
		result = handler(task, frame);
	/* user_return() turns it into what the program sees. */
	if (signal_is_restart(result))
		thread_interrupt(&task->thread, INTERRUPT_SIGNAL);
	return result;
}

void syscall_handle(struct trapframe *frame)
{
	struct task *task = task_current();
	uint64_t number = frame->error;
	syscall_handler *handler = NULL;
	int64_t result;

	if (number < LINUX_CALLS)
		handler = linux_calls[number];
	else if (number == PHOENIX_SYS_MAP_LIST)
		handler = sys_map_list;
	else if (number == PHOENIX_SYS_VM_STATS)
		handler = sys_vm_stats;
	else if (number == PHOENIX_SYS_EXPLAIN)
		handler = sys_explain;
	result = handler ? handler(task, frame) : unknown_call(task->process, number);
	/* After the way back from a handler that is no result, but a register of the program's. */
	if (unlikely(result < 0) && frame->vector != TRAP_REPLACED)
		result = failed(handler, task, frame, result);
	frame->rax = (uint64_t)result;
}
