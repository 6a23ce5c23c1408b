//! CPU time and memory of processes and threads, from `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// The processes that make up one target: a proxy with its children or workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processes(BTreeSet<u32>);

impl Processes {
    /// One process and those that it started.
    pub fn of(id: u32) -> Processes {
        let mut all = BTreeSet::new();
        gather(id, &mut all);
        Processes(all)
    }

    /// Those that listen at an address of this machine, as far as this user may see that. A server whose workers share
    /// a socket is counted with all of them.
    pub fn listening(address: SocketAddr) -> Processes {
        let Some(socket) = listening_socket(address.port()).map(|inode| format!("socket:[{inode}]")) else {
            return Processes::default();
        };
        let holds = |id: &u32| {
            let open = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
            open.filter_map(|entry| fs::read_link(entry.path()).ok())
                .any(|target| target == Path::new(&socket))
        };
        let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
        Processes(ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(holds).collect())
    }

    /// Whether there is anything to measure.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// CPU time so far, in user mode and in the kernel.
    pub fn cpu(&self) -> Duration {
        self.0.iter().map(|id| cpu_of_threads(&format!("/proc/{id}/task"))).sum()
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        self.0.iter().filter_map(|id| resident(*id)).sum()
    }
}

fn gather(id: u32, all: &mut BTreeSet<u32>) {
    if !all.insert(id) {
        return;
    }
    for thread in fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten() {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children
            .split_whitespace()
            .filter_map(|child| child.parse().ok())
            .for_each(|child| gather(child, all));
    }
}

/// CPU time of some threads of this process.
pub(super) fn cpu_of(threads: &[u32]) -> Duration {
    threads.iter().filter_map(|id| schedstat(&format!("/proc/self/task/{id}/schedstat"))).sum()
}

/// The calling thread, as `/proc` numbers it.
pub(super) fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

fn cpu_of_threads(tasks: &str) -> Duration {
    let threads = fs::read_dir(tasks).into_iter().flatten().flatten();
    threads.filter_map(|thread| schedstat(thread.path().join("schedstat").to_str()?)).sum()
}

/// Nanoseconds on a CPU; finer than the ticks of `stat`.
fn schedstat(path: &str) -> Option<Duration> {
    let text = fs::read_to_string(path).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn resident(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// The inode of the TCP socket that listens at a port.
fn listening_socket(port: u16) -> Option<u64> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let mut sockets = lines.filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let at = fields.get(1)?.rsplit_once(':')?.1;
        // 0A is LISTEN.
        let listens = *fields.get(3)? == "0A" && u16::from_str_radix(at, 16).ok()? == port;
        listens.then(|| fields.get(9)?.parse().ok()).flatten()
    });
    sockets.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_listens_at_a_port_is_found_and_measured() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let mine = Processes::listening(listener.local_addr().expect("address"));
        assert_eq!(mine, Processes([std::process::id()].into()));
        assert!(mine.memory() > 1 << 20);
        let before = mine.cpu();
        let until = std::time::Instant::now() + Duration::from_millis(50);
        while std::time::Instant::now() < until {}
        assert!(mine.cpu() - before > Duration::from_millis(10));
        assert!(cpu_of(&[thread_id()]) > Duration::ZERO);
    }
}
