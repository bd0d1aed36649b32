//! The commands that come in on a connection, and what a connection remembers of a transaction.

use super::scripts::{field, number, pairs, text};
use super::{Entry, Redis, Stored, Value};

/// WATCH and MULTI on one connection.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    /// Keys, how often each had changed, and whether it was there.
    watched: Vec<(Vec<u8>, u64, bool)>,
    /// What was queued since MULTI.
    queued: Option<Vec<Vec<Vec<u8>>>>,
}

impl Redis {
    /// Carries out what came in on a connection.
    pub(crate) fn run(&mut self, connection: &mut Transaction, args: &[&[u8]]) -> Value {
        match args[0] {
            b"WATCH" => {
                for key in &args[1..] {
                    let there = self.peek(key).is_some();
                    connection.watched.push((key.to_vec(), self.changed(key), there));
                }
                Value::ok()
            }
            b"UNWATCH" => {
                connection.watched.clear();
                Value::ok()
            }
            b"MULTI" => {
                connection.queued = Some(Vec::new());
                Value::ok()
            }
            b"EXEC" => self.exec(connection),
            _ => match &mut connection.queued {
                Some(queued) => {
                    queued.push(args.iter().map(|arg| arg.to_vec()).collect());
                    Value::Bulk(b"QUEUED".to_vec())
                }
                None => self.command(args),
            },
        }
    }

    fn exec(&mut self, connection: &mut Transaction) -> Value {
        let Transaction { watched, queued } = std::mem::take(connection);
        let Some(queued) = queued else { return Value::Error("ERR EXEC without MULTI") };
        let stale = |(key, count, there): &(Vec<u8>, u64, bool)| {
            // One that has run out since counts as changed, whether or not it was deleted.
            self.changed(key) != *count || *there && self.peek(key).is_none()
        };
        if watched.iter().any(stale) {
            return Value::Nil;
        }
        let run = |args: &Vec<Vec<u8>>| {
            let args: Vec<&[u8]> = args.iter().map(|arg| &arg[..]).collect();
            self.command(&args)
        };
        Value::List(queued.iter().map(run).collect())
    }

    fn changed(&self, key: &[u8]) -> u64 {
        self.changes.get(key).copied().unwrap_or(0)
    }

    pub(super) fn kind(&mut self, key: &[u8]) -> &'static str {
        match self.live(key).map(|entry| &entry.stored) {
            None => "none",
            Some(Stored::Text(_)) => "string",
            Some(Stored::Hash(_)) => "hash",
            Some(Stored::Set(_)) => "set",
            Some(Stored::Sorted(_)) => "zset",
        }
    }

    fn command(&mut self, args: &[&[u8]]) -> Value {
        match args {
            [b"EVAL" | b"EVALSHA" | b"SCRIPT", ..] => self.script(args),
            [b"TIME"] => {
                let (seconds, micros) = (self.clock / 1_000, self.clock % 1_000 * 1_000);
                Value::List([seconds, micros].map(|part| Value::Bulk(part.to_string().into_bytes())).to_vec())
            }
            [b"PING"] => Value::Bulk(b"PONG".to_vec()),
            [b"TYPE", key] => Value::Bulk(self.kind(key).as_bytes().to_vec()),
            [b"EXISTS", keys @ ..] => Value::Int(keys.iter().filter(|key| self.live(key).is_some()).count() as i64),
            [b"DEL", keys @ ..] => Value::Int(keys.iter().filter(|key| self.delete(key)).count() as i64),
            [b"PTTL", key] => Value::Int(self.left(key)),
            [b"PEXPIRE", key, ms] => Value::Int(i64::from(self.expire_in(key, number(ms)))),
            [b"PERSIST", key] => {
                self.persist(key);
                Value::Int(1)
            }
            [b"SET", key, value] => {
                self.live(key);
                self.put(key, Entry { stored: Stored::Text(value.to_vec()), ends: None });
                Value::ok()
            }
            [b"SET", key, value, b"PX", ms] => {
                self.live(key);
                let ends = Some(self.clock + number(ms));
                self.put(key, Entry { stored: Stored::Text(value.to_vec()), ends });
                Value::ok()
            }
            [b"RENAME", from, to] if self.rename(from, to) => Value::ok(),
            [b"RENAME", ..] => Value::Error("ERR no such key"),
            [b"HSET" | b"HMSET", key, rest @ ..] => match self.set_fields(key, &pairs(rest)) {
                Some(_) if args[0] == b"HMSET" => Value::ok(),
                Some(new) => Value::Int(new),
                None => WRONG_TYPE,
            },
            [b"HMGET", key, names @ ..] => match self.live(key).map(|entry| &entry.stored) {
                None => Value::List(vec![Value::Nil; names.len()]),
                Some(Stored::Hash(fields)) => {
                    Value::List(names.iter().map(|name| Value::bytes(field(fields, name))).collect())
                }
                Some(_) => WRONG_TYPE,
            },
            [b"HGETALL", key] => match self.live(key).map(|entry| &entry.stored) {
                None => Value::List(Vec::new()),
                Some(Stored::Hash(fields)) => {
                    let all = fields.iter().flat_map(|(name, value)| [name, value]);
                    Value::List(all.map(|bytes| Value::Bulk(bytes.clone())).collect())
                }
                Some(_) => WRONG_TYPE,
            },
            [b"SADD", key, member] => {
                self.add(key, member);
                Value::Int(1)
            }
            [b"SREM", key, members @ ..] => {
                for member in members {
                    self.remove(key, member);
                }
                Value::Int(members.len() as i64)
            }
            [b"SRANDMEMBER", key, count] => {
                let mut members = self.members(key);
                if !members.is_empty() {
                    let at = self.lot as usize % members.len();
                    members.rotate_left(at);
                }
                members.truncate(number(count) as usize);
                Value::List(members.into_iter().map(Value::Bulk).collect())
            }
            [b"ZADD", key, score, member] => {
                self.add_scored(key, number(score), member);
                Value::Int(1)
            }
            [b"ZREM", key, members @ ..] => {
                for member in members {
                    self.remove_scored(key, member);
                }
                Value::Int(members.len() as i64)
            }
            [b"ZRANGE", key, b"0", b"0"] => Value::List(
                self.scored(key).first().map(|(_, member)| Value::Bulk(member.clone())).into_iter().collect(),
            ),
            [b"ZRANGEBYSCORE", key, b"-inf", most, b"LIMIT", b"0", count] => {
                let (most, count) = (number(most), number(count) as usize);
                let due = self.scored(key).iter().take_while(|(score, _)| *score <= most).take(count);
                Value::List(due.map(|(_, member)| Value::Bulk(member.clone())).collect())
            }
            [b"PUBLISH", channel, payload] => {
                self.publish(channel, payload);
                Value::Int(1)
            }
            [b"CONFIG", ..] if !self.may_config => {
                Value::Error("NOPERM User app has no permissions to run the 'config|get' command")
            }
            [b"CONFIG", b"GET", name] => Value::List(vec![Value::Bulk(name.to_vec()), Value::Bulk(self.flags.clone())]),
            [b"CONFIG", b"SET", _, flags] => {
                self.flags = flags.to_vec();
                Value::ok()
            }
            other => panic!("the model of Redis knows no {}", text(other[0])),
        }
    }
}

const WRONG_TYPE: Value = Value::Error("WRONGTYPE Operation against a key holding the wrong kind of value");
