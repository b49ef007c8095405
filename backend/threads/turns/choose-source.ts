import { gatewaySource } from "./gateway-source";
import { lettaRelay } from "./letta-relay";
import type { TurnSource } from "./turn-source";

/**
 * Where turns take their words from. GRAPHYN_TURN_SOURCE=gateway: from Graphyn's own model gateway, for a Letta whose model endpoint it
 * is (`./graphyn start` sets both). Otherwise from Letta's own stream, whatever models it asks.
 */
export const turnSource: TurnSource = process.env.GRAPHYN_TURN_SOURCE === "gateway" ? gatewaySource : lettaRelay;

/** Whether a message can join a running turn: what the model is asked has to come through here. */
export const CAN_STEER = turnSource === gatewaySource;

/** Off with GRAPHYN_ASK_AHEAD=off, for upstreams that charge too much for a guess. */
export const ASKS_AHEAD = process.env.GRAPHYN_ASK_AHEAD !== "off" && turnSource === gatewaySource;
