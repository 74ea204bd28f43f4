-- The policy as one text, with its history: the newest row is in force. Groups, members and statements that stood
-- in tables of their own become the first version.
create table access_policy (
    version integer primary key autoincrement,
    at_ms   integer not null,
    who     text not null,
    note    text not null,
    text    text not null
) strict;

insert into access_policy (at_ms, who, note, text)
select coalesce(max(added_ms), 0), 'hub', 'groups as they were', coalesce((
    select group_concat(
        'group ' || g.name || char(10)
        || coalesce((select group_concat('    member '
                || case m.kind when 'devices' then 'every device' else m.kind || ' ' || m.value end || char(10), '')
            from (select kind, value from access_member where group_name = g.name order by kind, value) m), '')
        || coalesce((select group_concat('    ' || s.effect || ' ' || s.actions || ' ' || s.filter || char(10), '')
            from (select effect, actions, filter from access_statement where group_name = g.name order by position) s), ''),
        char(10))
    from (select name from access_group order by name) g), '')
from access_group;

drop table access_statement;
drop table access_member;
drop table access_group;
