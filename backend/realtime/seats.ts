import type { Caller } from "../organizations/authenticate";
import { makeSeats } from "../threads/live/stream-seats";
import { CONNECTIONS_MAX, CONNECTIONS_PER_ORG_MAX, CONNECTIONS_PER_PERSON_MAX } from "./limits";

const ofOrganizations = makeSeats({ perOrg: CONNECTIONS_PER_ORG_MAX, total: CONNECTIONS_MAX });
const ofPeople = makeSeats({ perOrg: CONNECTIONS_PER_PERSON_MAX, total: CONNECTIONS_MAX });

/** A seat for one more connection, or null when its person, its organization or this process has none left. What is returned gives it back. */
export function takeSeat({ orgID, userID }: Caller): (() => void) | null {
  const ofPerson = ofPeople.take(`${orgID}/${userID}`);
  if (!ofPerson) return null;
  const ofOrganization = ofOrganizations.take(orgID);
  if (ofOrganization)
    return () => {
      ofPerson();
      ofOrganization();
    };
  ofPerson();
  return null;
}
