-- People in the policy: what a household's members reach by default. A hub that begins now has the group from its first version on; one that
-- is older gets it as a new version when it opens (cloud/grants/grants_default.c), which then stands here.
create table access_default (
    name  text primary key,
    at_ms integer not null
) strict, without rowid;

update access_policy set text = text || char(10)
    || 'group people' || char(10)
    || '    member every adult' || char(10)
    || '    member every child' || char(10)
    || '    member every guest' || char(10)
    || '    member every owner' || char(10)
    || '    allow subscribe,receive d/${household.device}/event/#' || char(10)
    || '    allow subscribe,receive d/${household.device}/state/reported' || char(10)
    || '    allow subscribe,receive $porchlight/device/${household.device}/#' || char(10)
where not exists (select 1 from trust);

insert into access_default (name, at_ms) select 'people', 0 where not exists (select 1 from trust);
