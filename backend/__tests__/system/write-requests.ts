import { inject } from "vitest";
import {
  type Context,
  newOrganization,
  newPerson,
  newThread,
  ok,
  type TestOrganization,
} from "../harness/organization";
import { ofType, openStream, turnsEnded } from "../harness/stream";
import type { Write } from "./send-once";

const graphyn = inject("graphyn");

/**
 * One good request for each write, made for the test that sends it. A write that is not here fails every-write.test.ts. `agent` is one that
 * answers at once.
 */
export function writesOf(org: TestOrganization, agent: string): Record<string, () => Promise<Write>> {
  return {
    "POST /agents": async () => ({
      path: "/agents",
      body: { name: "Once", system_prompt: "You are Once." },
      other: { body: { name: "Twice", system_prompt: "You are Twice." } },
    }),
    "PATCH /agents/{id}": async () => ({
      path: `/agents/${agent}`,
      body: { ask_ahead: "on" },
      other: { body: { ask_ahead: "off" } },
    }),
    "POST /api-keys": async () => ({ path: "/api-keys", body: { name: "once" }, other: { body: { name: "twice" } } }),
    "DELETE /api-keys/{id}": async () => {
      const { id } = await ok(org.call<{ id: string }>("POST", "/api-keys", { name: "to go" }));
      return { path: `/api-keys/${id}`, other: { path: "/api-keys/key_01h455vb4pex5vsknk084sn02q" } };
    },
    "POST /api-keys/{id}/rotate": async () => {
      const make = () => ok(org.call<{ id: string }>("POST", "/api-keys", { name: "to rotate" }));
      return {
        path: `/api-keys/${(await make()).id}/rotate`,
        body: { overlap_minutes: 5 },
        other: { path: `/api-keys/${(await make()).id}/rotate` },
      };
    },
    "PUT /models/credentials/{upstream}": async () => ({
      path: "/models/credentials/dev",
      body: { api_key: "sk-0123456789" },
      other: { body: { api_key: "sk-9876543210" } },
    }),
    "DELETE /models/credentials/{upstream}": async () => {
      await ok(org.call("PUT", "/models/credentials/dev", { api_key: "sk-0123456789" }));
      return { path: "/models/credentials/dev" };
    },
    "PUT /limits/{scope}/{scopeId}": async () => ({
      path: `/limits/thread/${await newThread(org)}`,
      body: { tokens_per_month: 1_000_000 },
      other: { body: { tokens_per_month: 2_000_000 } },
    }),
    "DELETE /limits/{scope}/{scopeId}": async () => {
      const limited = async () => {
        const path = `/limits/thread/${await newThread(org)}`;
        await ok(org.call("PUT", path, { tokens_per_month: 1_000_000 }));
        return path;
      };
      return { path: await limited(), other: { path: await limited() } };
    },
    "POST /erasure": async () => ({
      path: "/erasure",
      body: { person_id: await newPerson(org, "Ana") },
      other: { body: { person_id: await newPerson(org, "Ben") } },
    }),
    "POST /organizations": async () => ({
      path: "/organizations",
      body: { name: "Once", owner_name: "Ada" },
      other: { body: { name: "Twice", owner_name: "Ada" } },
      headers: { "x-admin-key": graphyn.adminKey },
    }),
    "POST /people": async () => ({ path: "/people", body: { name: "Ana" }, other: { body: { name: "Ben" } } }),
    "PATCH /people/{id}": async () => ({
      path: `/people/${await newPerson(org, "Ana")}`,
      body: { role: "admin" },
      other: { body: { role: "guest" } },
    }),
    "DELETE /people/{id}": async () => ({
      path: `/people/${await newPerson(org, "Ana")}`,
      other: { path: `/people/${await newPerson(org, "Ben")}` },
    }),
    "POST /threads": async () => ({
      path: "/threads",
      body: { title: "once", agents: [agent] },
      other: { body: { title: "twice" } },
    }),
    "PATCH /threads/{id}": async () => ({
      path: `/threads/${await newThread(org)}`,
      body: { title: "renamed" },
      other: { body: { title: "renamed again" } },
    }),
    "DELETE /threads/{id}": async () => {
      const path = `/threads/${await newThread(org)}`;
      return { path: `${path}?purge=true`, other: { path } };
    },
    "POST /threads/{id}/cancel": async () => ({
      path: `/threads/${await newThread(org)}/cancel`,
      other: { path: `/threads/${await newThread(org)}/cancel` },
    }),
    "POST /threads/{id}/messages": async () => ({
      path: `/threads/${await newThread(org)}/messages`,
      body: { content: "once" },
      other: { body: { content: "twice" } },
    }),
    "POST /threads/{id}/participants": async () => ({
      path: `/threads/${await newThread(org)}/participants`,
      body: { people: [await newPerson(org, "Ana")] },
      other: { body: { agents: [agent] } },
    }),
    "PATCH /threads/{id}/participants/{participantId}": async () => {
      const { path, participant } = await participantOf(await newPerson(org, "Ana"));
      return { path: `${path}/${participant}`, body: { role: "listener" }, other: { body: { role: "host" } } };
    },
    "DELETE /threads/{id}/participants/{participantId}": async () => {
      const { path, participant } = await participantOf(await newPerson(org, "Ana"));
      return { path: `${path}/${participant}`, other: { path: `${path}/part_01h455vb4pex5vsknk084sn02q` } };
    },
    "POST /threads/{id}/invitations": async () => ({
      path: `/threads/${await newThread(org)}/invitations`,
      body: { role: "listener" },
      other: { body: { role: "speaker" } },
    }),
    "DELETE /threads/{id}/invitations/{invitationId}": async () => {
      const path = `/threads/${await newThread(org)}/invitations`;
      const { id } = await ok(org.call<{ id: string }>("POST", path, {}));
      return { path: `${path}/${id}`, other: { path: `${path}/inv_01h455vb4pex5vsknk084sn02q` } };
    },
    "POST /invitations/accept": async () => {
      const host = await newOrganization({ ...graphyn, url: org.url });
      const invite = async () => {
        const path = `/threads/${await newThread(host)}/invitations`;
        return (await ok(host.call<{ token: string }>("POST", path, {}))).token;
      };
      return {
        path: "/invitations/accept",
        body: { token: await invite() },
        other: { body: { token: await invite() } },
      };
    },
    "POST /threads/{id}/turns/{turnId}/cancel": async () => {
      const id = await newThread(org, [agent]);
      const say = () =>
        ok(
          org.call<{ turns: { id: string }[] }>("POST", `/threads/${id}/messages`, {
            content: "!tokens 200\n!rate 20",
          }),
        );
      const path = ({ turns }: { turns: { id: string }[] }) => `/threads/${id}/turns/${turns[0]?.id}/cancel`;
      return { path: path(await say()), other: { path: path(await say()) } };
    },
    "POST /threads/{id}/fork": async () => ({
      path: `/threads/${(await saidIn()).id}/fork`,
      body: { title: "a fork" },
      other: { body: { title: "another" } },
    }),
    "POST /threads/{id}/merge": async () => ({
      path: `/threads/${(await saidIn()).id}/merge`,
      body: { from_thread_id: (await saidIn()).id },
      other: { body: { from_thread_id: (await saidIn()).id } },
    }),
    "POST /threads/{id}/messages/{messageId}/edit": async () => {
      const { id, message } = await saidIn();
      return {
        path: `/threads/${id}/messages/${message.id}/edit`,
        body: { content: "better" },
        other: { body: { content: "best" } },
      };
    },
    "POST /threads/{id}/messages/{messageId}/regenerate": async () => {
      const id = await newThread(org, [agent]);
      const stream = await openStream(org, id);
      await ok(org.call("POST", `/threads/${id}/messages`, { content: "say it" }));
      const answer = ofType(await stream.until(turnsEnded(1)), "message").at(-1)?.message.id;
      await stream.close();
      return { path: `/threads/${id}/messages/${answer}/regenerate` };
    },
    "POST /threads/{id}/rewind": async () => ({
      path: `/threads/${(await saidIn()).id}/rewind`,
      body: { to_seq: 2 },
      other: { body: { to_seq: 1 } },
    }),
    "POST /threads/{id}/branches/{branch}/restore": async () => {
      const { id } = await saidIn();
      await ok(org.call("POST", `/threads/${id}/rewind`, { to_seq: 2 }));
      return { path: `/threads/${id}/branches/1/restore`, other: { path: `/threads/${id}/branches/2/restore` } };
    },
    "POST /threads/{id}/split": async () => {
      const { id, message } = await saidIn();
      return {
        path: `/threads/${id}/split`,
        body: { at_seq: message.seq - 1 },
        other: { body: { at_seq: message.seq - 1, title: "x" } },
      };
    },
  };

  /** A thread in which something was said. */
  async function saidIn() {
    const id = await newThread(org);
    for (const content of ["first", "second"]) await ok(org.call("POST", `/threads/${id}/messages`, { content }));
    const { message } = await ok(
      org.call<{ message: { id: string; seq: number } }>("POST", `/threads/${id}/messages`, { content: "third" }),
    );
    return { id, message };
  }

  async function participantOf(person: string) {
    const id = await newThread(org, [], [person]);
    const { context } = await ok(org.call<{ context: Context }>("GET", `/threads/${id}`));
    const participant = context.participants.find(({ user_id }) => user_id === person)?.id;
    return { path: `/threads/${id}/participants`, participant };
  }
}
