//! The machine a measurement was taken on, without names of hosts or paths.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

/// What a reader needs to judge a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_kib: u64,
    disk: String,
    kernel: String,
}

impl Machine {
    /// Reads it from the kernel; `folder` lies on the disk that is measured.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let memory = fs::read_to_string("/proc/meminfo")?;
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let number = release.split('-').next().unwrap_or_default();
        Ok(Self {
            cpu: field(&fs::read_to_string("/proc/cpuinfo")?, "model name")?,
            cores: std::thread::available_parallelism()?.get(),
            memory_kib: field(&memory, "MemTotal")?
                .trim_end_matches(" kB")
                .parse()?,
            disk: disk(folder)?,
            kernel: number.trim().to_owned(),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu,
            cores,
            memory_kib,
            disk,
            kernel,
        } = self;
        let gib = memory_kib.div_ceil(1024 * 1024);
        write!(
            f,
            "{cpu}, {cores} cores, {gib} GiB of memory, {disk}, Linux {kernel}"
        )
    }
}

fn field(text: &str, name: &str) -> Result<String> {
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    value.with_context(|| format!("the kernel does not say {name}"))
}

/// File system, size and kind of the disk a folder lies on.
fn disk(folder: &Path) -> Result<String> {
    let device = fs::metadata(folder)?.dev();
    let major = (device >> 8) & 0xfff;
    let minor = (device & 0xff) | ((device >> 12) & 0xfff00);
    let number = format!("{major}:{minor}");
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mount = mounts
        .lines()
        .find(|line| line.split(' ').nth(2) == Some(&number));
    let after = mount
        .and_then(|line| line.split_once(" - "))
        .map_or("", |(_, after)| after);
    let kind = after
        .split(' ')
        .next()
        .filter(|kind| !kind.is_empty())
        .unwrap_or("unknown");
    Ok(format!("{kind} on {}", medium(&number)))
}

/// Kind and size; virtual disks do not tell what they are made of.
fn medium(number: &str) -> String {
    let device = fs::canonicalize(Path::new("/sys/dev/block").join(number)).unwrap_or_default();
    let read = |name: &str| {
        // A partition's queue belongs to the whole disk, one folder up.
        let found = fs::read_to_string(device.join(name));
        found
            .or_else(|_| fs::read_to_string(device.join("..").join(name)))
            .unwrap_or_default()
    };
    let sectors: u64 = read("size").trim().parse().unwrap_or(0);
    let name = device
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let kind = match read("queue/rotational").trim() {
        _ if name.starts_with("vd") => "virtual",
        "1" => "rotating",
        "0" => "solid-state",
        _ => "unnamed",
    };
    format!("a {kind} disk of {} GiB", sectors / 2 / 1024 / 1024)
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn a_machine_is_named_in_one_line() {
        let machine = Machine {
            cpu: "CPU".to_owned(),
            cores: 2,
            memory_kib: 4_100_000,
            disk: "ext4 on a solid-state disk of 9 GiB".to_owned(),
            kernel: "6.1.0".to_owned(),
        };
        assert_eq!(
            machine.to_string(),
            "CPU, 2 cores, 4 GiB of memory, ext4 on a solid-state disk of 9 GiB, Linux 6.1.0"
        );
        assert!(Machine::read(std::path::Path::new("/")).is_ok());
    }
}
