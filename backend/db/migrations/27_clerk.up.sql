-- What Clerk has said of organizations and people, each word with the time it was said: it comes by tokens and webhooks in any order, and
-- only a newer word changes anything (organizations/clerk/seats.ts). Clerk's ids of an organization and a person give ours
-- (clerk-ids.ts), so nothing is looked up across organizations.
create table clerk_organizations (
  org_id      text primary key references organizations on delete cascade,
  -- Clerk's id: org_…, or user_… for a person's own organization.
  external_id text not null,
  -- Clerk's id of the person who made it.
  created_by  text,
  named_at    timestamptz,
  deleted_at  timestamptz
);
call tenant_table('clerk_organizations');

-- A person's place in an organization. Stays when it is given up: an older word must not give it back.
create table clerk_seats (
  org_id      text not null references organizations on delete cascade,
  external_id text not null,
  -- Clerk's key of the role; null when the first word was that there is none.
  role        text,
  said_at     timestamptz not null,
  removed     boolean not null default false,
  named_at    timestamptz,
  primary key (org_id, external_id)
);
call tenant_table('clerk_seats');

-- In a person's own organization: how they are called, for the places they have and those they will have.
create table clerk_people (
  org_id   text primary key references organizations on delete cascade,
  name     text not null,
  email    text,
  named_at timestamptz not null
);
call tenant_table('clerk_people');

-- In a person's own organization: the others they have a place in, so that a new name or the end of the person reaches them.
create table clerk_places (
  org_id       text not null references organizations on delete cascade,
  place_org_id text not null,
  primary key (org_id, place_org_id)
);
call tenant_table('clerk_places');
