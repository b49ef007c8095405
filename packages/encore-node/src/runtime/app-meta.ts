/** What `appMeta()` of encore.dev tells the app about itself. */

import type { Config } from "./config.js";

const ENVIRONMENT_TYPE = { Production: 0, Development: 1, Ephemeral: 2, Test: 3 } as const;
const CLOUD = { Encore: 3, Local: 4 } as const;

const startedAt = new Date().toISOString();

export function describeApp(config: Config, deployId: string): unknown {
  const services = config.meta.services.map((s) => [s.name, { name: s.name }]);
  return {
    appId: config.meta.appId,
    apiBaseUrl: process.env.ENCORE_NODE_URL ?? `http://localhost:${config.port}`,
    environment: {
      name: config.env,
      type: config.local ? ENVIRONMENT_TYPE.Development : ENVIRONMENT_TYPE.Production,
      cloud: config.local ? CLOUD.Local : CLOUD.Encore,
    },
    build: { revision: process.env.ENCORE_NODE_REVISION ?? "", uncommittedChanges: false },
    deploy: { id: deployId, deployTime: startedAt, hostedServices: Object.fromEntries(services) },
  };
}
